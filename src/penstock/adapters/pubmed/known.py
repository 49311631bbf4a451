"""What the readers of this package know of a PubMed record; everything else goes to ``metadata["extra"]``.

`KNOWN` is a DTD of the elements and attributes that are read. libxml2 checks a record against it in a few
microseconds. Nearly all records fit, and nothing in them is lost. The tree of a record that does not fit is
walked, and `set_apart` returns what no reader would take, each text by its path.

The DTD differs from NLM's: it leaves out what is not read, it requires nothing, and a list that may come
several times is marked ``*``. Another order than NLM's does not fit either, but nothing is lost by it. The
placeholders of `cut_out` begin with ``_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

from lxml.etree import DTD, QName

from penstock.adapters.pubmed.elements import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml.etree import _Element as Element

KNOWN = """
<!ENTITY % text "(#PCDATA|b|i|u|sup|sub|DispFormula|mml:math)*">
<!ENTITY % date "(Year?,Month?,Day?,Season?,Hour?,Minute?,Second?,MedlineDate?)">
<!ENTITY % person "((LastName?,(ForeName|FirstName)?,Initials?,Suffix?,CollectiveName?,Identifier*,
                    (AffiliationInfo|Affiliation)*))">
<!ENTITY % bool "(Y|N) #IMPLIED">

<!ELEMENT PubmedArticle (MedlineCitation?,PubmedData?)>
<!ELEMENT MedlineCitation (PMID?,DateCreated?,(DateCompleted|_DateCompleted)?,(DateRevised|_DateRevised)?,
    Article?,(MedlineJournalInfo|_MedlineJournalInfo)?,ChemicalList*,SupplMeshList*,CitationSubset*,
    CommentsCorrectionsList*,GeneSymbolList*,(MeshHeadingList|_MeshHeadingList)?,NumberOfReferences?,
    PersonalNameSubjectList*,OtherID*,OtherAbstract*,KeywordList*,CoiStatement?,SpaceFlightMission*,
    InvestigatorList*,GeneralNote*)>
<!ATTLIST MedlineCitation Status CDATA #IMPLIED Owner CDATA #IMPLIED IndexingMethod CDATA #IMPLIED
    VersionID CDATA #IMPLIED VersionDate CDATA #IMPLIED>
<!ELEMENT Article (Journal?,ArticleTitle?,Pagination?,ELocationID*,Abstract?,
    (AuthorList|_AuthorList)?,Language*,
    DataBankList?,GrantList?,(PublicationTypeList|_PublicationTypeList)?,VernacularTitle?,ArticleDate*)>
<!ATTLIST Article PubModel CDATA #IMPLIED>
<!ELEMENT PubmedData ((History|_History)?,PublicationStatus?,(ArticleIdList|_ArticleIdList)*,ObjectList*,
    (ReferenceList|_ReferenceList)*)>
<!ELEMENT PubmedBookArticle (BookDocument?,PubmedBookData?)>
<!ELEMENT PubmedBookData ((History|_History)?,PublicationStatus?,ArticleIdList*,ObjectList*,ReferenceList*)>
<!ELEMENT BookDocument (PMID?,ArticleIdList*,Book?,LocationLabel*,ArticleTitle?,VernacularTitle?,Pagination?,
    Language*,AuthorList*,InvestigatorList*,PublicationType*,Abstract?,Sections*,KeywordList*,
    ContributionDate?,DateRevised?,GrantList?,ItemList*,ReferenceList*)>
<!ELEMENT Book (Publisher?,BookTitle?,PubDate?,BeginningDate?,EndingDate?,AuthorList*,InvestigatorList?,
    Volume?,VolumeTitle?,Edition?,CollectionTitle?,Isbn*,ELocationID*,Medium?,ReportNumber?)>
<!ELEMENT Publisher (PublisherName?,PublisherLocation?)>
<!ELEMENT Sections (Section*)>
<!ELEMENT Section (LocationLabel?,SectionTitle?,Section*)>
<!ELEMENT ItemList (Item*)>
<!ATTLIST ItemList ListType CDATA #IMPLIED>

<!ELEMENT PMID %text;>
<!ATTLIST PMID Version CDATA #IMPLIED>
<!ELEMENT Journal (ISSN?,JournalIssue?,Title?,ISOAbbreviation?)>
<!ELEMENT ISSN %text;>
<!ATTLIST ISSN IssnType CDATA #IMPLIED>
<!ELEMENT JournalIssue (Volume?,Issue?,(PubDate|_PubDate)?)>
<!ATTLIST JournalIssue CitedMedium CDATA #IMPLIED>
<!ELEMENT MedlineJournalInfo (Country?,MedlineTA?,NlmUniqueID?,ISSNLinking?)>
<!ELEMENT Pagination (StartPage?,EndPage?,MedlinePgn?)>
<!ELEMENT ELocationID %text;>
<!ATTLIST ELocationID EIdType CDATA #IMPLIED ValidYN %bool;>
<!ELEMENT Abstract (AbstractText*,CopyrightInformation?)>
<!ELEMENT OtherAbstract (AbstractText*,CopyrightInformation?)>
<!ATTLIST OtherAbstract Type CDATA #IMPLIED Language CDATA #IMPLIED>
<!ELEMENT AbstractText %text;>
<!ATTLIST AbstractText Label CDATA #IMPLIED NlmCategory CDATA #IMPLIED>
<!ELEMENT AuthorList (Author*)>
<!ATTLIST AuthorList CompleteYN %bool; Type (authors|editors) #IMPLIED>
<!ELEMENT InvestigatorList (Investigator*)>
<!ELEMENT PersonalNameSubjectList (PersonalNameSubject*)>
<!ELEMENT Author %person;>
<!ATTLIST Author ValidYN %bool; EqualContrib %bool;>
<!ELEMENT Investigator %person;>
<!ATTLIST Investigator ValidYN %bool;>
<!ELEMENT PersonalNameSubject %person;>
<!ELEMENT AffiliationInfo (Affiliation?,Identifier*)>
<!ELEMENT Identifier %text;>
<!ATTLIST Identifier Source CDATA #IMPLIED>
<!ELEMENT DataBankList (DataBank*)>
<!ATTLIST DataBankList CompleteYN %bool;>
<!ELEMENT DataBank (DataBankName?,AccessionNumberList*)>
<!ELEMENT AccessionNumberList (AccessionNumber*)>
<!ELEMENT GrantList (Grant*)>
<!ATTLIST GrantList CompleteYN %bool;>
<!ELEMENT Grant (GrantID?,Acronym?,Agency?,Country?)>
<!ELEMENT PublicationTypeList (PublicationType*)>
<!ELEMENT PublicationType %text;>
<!ATTLIST PublicationType UI CDATA #IMPLIED>
<!ELEMENT ChemicalList (Chemical*)>
<!ELEMENT Chemical (RegistryNumber?,NameOfSubstance?)>
<!ELEMENT NameOfSubstance %text;>
<!ATTLIST NameOfSubstance UI CDATA #IMPLIED>
<!ELEMENT SupplMeshList (SupplMeshName*)>
<!ELEMENT SupplMeshName %text;>
<!ATTLIST SupplMeshName Type CDATA #IMPLIED UI CDATA #IMPLIED>
<!ELEMENT CommentsCorrectionsList (CommentsCorrections*)>
<!ELEMENT CommentsCorrections (RefSource?,PMID?,Note?)>
<!ATTLIST CommentsCorrections RefType CDATA #IMPLIED>
<!ELEMENT GeneSymbolList (GeneSymbol*)>
<!ELEMENT MeshHeadingList (MeshHeading*)>
<!ELEMENT MeshHeading (DescriptorName?,QualifierName*)>
<!ELEMENT DescriptorName %text;>
<!ATTLIST DescriptorName UI CDATA #IMPLIED MajorTopicYN %bool; Type CDATA #IMPLIED>
<!ELEMENT QualifierName %text;>
<!ATTLIST QualifierName UI CDATA #IMPLIED MajorTopicYN %bool;>
<!ELEMENT OtherID %text;>
<!ATTLIST OtherID Source CDATA #IMPLIED>
<!ELEMENT KeywordList (Keyword*)>
<!ATTLIST KeywordList Owner CDATA #IMPLIED>
<!ELEMENT Keyword %text;>
<!ATTLIST Keyword MajorTopicYN %bool;>
<!ELEMENT GeneralNote %text;>
<!ATTLIST GeneralNote Owner CDATA #IMPLIED>
<!ELEMENT History (PubMedPubDate*)>
<!ELEMENT PubMedPubDate %date;>
<!ATTLIST PubMedPubDate PubStatus CDATA #IMPLIED>
<!ELEMENT ArticleDate %date;>
<!ATTLIST ArticleDate DateType CDATA #IMPLIED>
<!ELEMENT ArticleIdList (ArticleId*)>
<!ELEMENT ArticleId %text;>
<!ATTLIST ArticleId IdType CDATA #IMPLIED ValidYN %bool;>
<!ELEMENT ObjectList (Object*)>
<!ELEMENT Object (Param*)>
<!ATTLIST Object Type CDATA #IMPLIED>
<!ELEMENT Param %text;>
<!ATTLIST Param Name CDATA #IMPLIED>
<!ELEMENT ReferenceList (Title?,((Reference+,ReferenceList*)|ReferenceList+))>
<!ELEMENT Reference (Citation?,ArticleIdList*)>
"""
_DATES = """DateCreated DateCompleted DateRevised PubDate BeginningDate EndingDate ContributionDate"""
_DATE_PARTS = "Year Month Day Season Hour Minute Second MedlineDate"
_TEXTS = """
    b i u sup sub Title ISOAbbreviation Volume Issue Country MedlineTA NlmUniqueID ISSNLinking StartPage
    EndPage MedlinePgn DispFormula CopyrightInformation LastName ForeName FirstName Initials Suffix
    CollectiveName Affiliation Language DataBankName AccessionNumber GrantID Acronym Agency
    VernacularTitle ArticleTitle RegistryNumber CitationSubset RefSource Note GeneSymbol
    NumberOfReferences CoiStatement SpaceFlightMission PublicationStatus Citation PublisherName
    PublisherLocation BookTitle VolumeTitle Edition CollectionTitle Isbn Medium ReportNumber SectionTitle
    LocationLabel Item
"""
_PLACEHOLDERS = """
    _DateCompleted _DateRevised _PubDate _AuthorList _PublicationTypeList _MedlineJournalInfo _MeshHeadingList
    _History _ArticleIdList _ReferenceList
"""


# Inside MathML only the text is read; any other element or attribute of it makes a record be walked.
_MATH = """
    math annotation mfenced mfrac mi mlabeledtr mmultiscripts mn mo mover mpadded mphantom mprescripts
    mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none
    semantics
"""
_MATH_ATTRIBUTES = """
    xmlns:mml xmlns id class display displaystyle mathvariant mathsize mathcolor stretchy accent
    accentunder fence separator separators open close form lspace rspace width height depth linethickness
    scriptlevel columnalign rowalign columnspacing rowspacing columnlines rowlines movablelimits maxsize
    minsize encoding symmetric largeop bevelled align overflow
"""


def _dtd() -> DTD:
    lines = [f"<!ELEMENT {tag} %date;>" for tag in _DATES.split()]
    lines += [f"<!ELEMENT {tag} (#PCDATA)>" for tag in _DATE_PARTS.split()]
    lines += [f"<!ELEMENT {tag} %text;>" for tag in _TEXTS.split()]
    lines += [f"<!ELEMENT {tag} EMPTY>" for tag in _PLACEHOLDERS.split()]
    lines += [f"<!ELEMENT mml:{tag} ANY>" for tag in _MATH.split()]
    any_value = " ".join(f"{name} CDATA #IMPLIED" for name in _MATH_ATTRIBUTES.split())
    lines += [f"<!ATTLIST mml:{tag} {any_value}>" for tag in _MATH.split()]
    return DTD(StringIO(KNOWN + "\n".join(lines)))


def _names(content: Any) -> Iterator[tuple[str, bool]]:
    """Yield the children that a content model allows, and whether each may come several times."""
    if content is None:
        return
    if content.type == "element":
        yield content.name, content.occur in ("mult", "plus")
        return
    many = content.occur in ("mult", "plus")
    for side in (content.left, content.right):
        for name, several in _names(side):
            yield name, several or many


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of one element: its attributes with their values (none: any), its children, and texts."""

    attributes: dict[str, frozenset[str]]
    children: dict[str, bool]
    """By tag: whether the child may come several times."""
    has_text: bool


_DTD = _dtd()
_KINDS = {
    element.name: _Kind(
        {attribute.name: frozenset(attribute.values()) for attribute in element.iterattributes()},
        dict(_names(element.content)),
        element.type == "mixed",
    )
    for element in cast("Any", _DTD).iterelements()
}

fits: Callable[[Element], bool] = _DTD.validate
"""Returns whether the readers take everything in an element."""

Extra = dict[str, list[str]]


def set_apart(record: Element) -> Extra:
    """Return what no reader would take from ``record``, and remove it where a reader could mistake it.

    The keys are paths below the record: ``MedlineCitation/Article/New`` for texts, and
    ``MedlineCitation/Article/New@kind`` for the values of an attribute. An element that should be single and
    is not is returned as a whole, each time. The attributes of MathML are left out.
    """
    extra: Extra = {}
    kind = _KINDS.get(str(record.tag))
    if kind is not None:
        _walk(record, kind, "", extra)
    return extra


def _walk(element: Element, kind: _Kind, path: str, extra: Extra) -> None:
    for name, value in element.items():
        values = kind.attributes.get(str(name))
        if values is None or (values and value not in values):
            _add(extra, f"{path}@{_local(name)}", str(value))
    if kind.has_text:
        _walk_text(element, kind, path, extra)
        return
    for text in (element.text, *(child.tail for child in element)):
        if text and text.strip():
            _add(extra, path, text.strip())
    tags = [str(child.tag) for child in element]
    for child, tag in zip(list(element), tags, strict=True):
        below = f"{path}/{_name(child)}" if path else _name(child)
        if tag not in kind.children:
            _keep(child, below, extra)
            element.remove(child)
        elif not kind.children[tag] and tags.count(tag) > 1:
            _keep(child, below, extra)
        else:
            _walk(child, _KINDS[tag], below, extra)
    if element.tag == "ReferenceList" and next(element.iter("Reference"), None) is None:
        for title in element.iterfind("Title"):  # the readers keep it with its references only
            _add(extra, f"{path}/Title", text_of(title))


def _walk_text(element: Element, kind: _Kind, path: str, extra: Extra) -> None:
    """Keep what is unknown within a text: attributes of markup, and markup in a part of a date."""
    if len(element) and not kind.children:
        _add(extra, path, text_of(element))  # its reader takes the first text only
    for inner in element.iterdescendants():
        _keep_attributes(inner, f"{path}/{_name(inner)}", extra)


def _keep(element: Element, path: str, extra: Extra) -> None:
    """Keep an element as a whole: one text if it has text of its own, otherwise the texts of its children."""
    _keep_attributes(element, path, extra)
    own = [element.text, *(child.tail for child in element)]
    if len(element) and not any(text and text.strip() for text in own):
        for child in element:
            _keep(child, f"{path}/{_name(child)}", extra)
        return
    _add(extra, path, text_of(element))
    for inner in element.iterdescendants():
        _keep_attributes(inner, f"{path}/{_name(inner)}", extra)


def _keep_attributes(element: Element, path: str, extra: Extra) -> None:
    if not str(element.tag).startswith("{http://www.w3.org/1998/Math/MathML}"):
        for name, value in element.items():
            _add(extra, f"{path}@{_local(name)}", str(value))


def _add(extra: Extra, path: str, text: str) -> None:
    extra.setdefault(path, []).append(text)


def _name(element: Element) -> str:
    """Return the name of an element as it stands in the file."""
    local = QName(element).localname
    return f"{element.prefix}:{local}" if element.prefix else local


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]
