"""Documents in files: `XmlFilesSource` for records in XML; readers, splitter and processes beneath it."""
