"""Documents in XML files: `XmlFilesSource`, with the reader, splitter and worker processes that it uses."""
