"""Training texts for protected health information: annotated queries, the same with other names and places, and notes made up here.

Everything is drawn from a seeded source of chance, so that a training run can be repeated exactly.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tools.nlp_corpora import Brat, Query, Sentence, Span, bc5cdr, chia, labelled, maccrobat_documents, queries

TYPES = {
    "NAME": "NAME",
    "GEOGRAPHIC_LOCATION": "ADDRESS",
    "DATE": "DATE",
    "PHONE_NUMBER": "PHONE_OR_FAX",
    "EMAIL_ADDRESS": "EMAIL",
    "UNIQUE_IDENTIFIER": "ID",
    "MEDICAL_RECORD_NUMBER": "ID",
    "HEALTH_PLAN_BENEFICIARY_NUMBER": "ID",
    "SOCIAL_SECURITY_NUMBER": "ID",
    "ACCOUNT_NUMBER": "ID",
    "CERTIFICATE_LICENSE_NUMBER": "ID",
    "PROFESSION": "PROFESSION",
    "ADDRESS": "ADDRESS",
    "ID": "ID",
    "PHONE_OR_FAX": "PHONE_OR_FAX",
    "EMAIL": "EMAIL",
    "FAX_NUMBER": "PHONE_OR_FAX",
    "URL": "URL",
}
NOTES = (
    "Patient: {N}\nDOB: {D}\nMRN: {I}\nAddress: {A}\nPhone: {P}\n{T}",
    "Name: {NL}  Sex: F  Date of birth: {D}  Medical record number: {I}\n{T}",
    "{T}\n\nElectronically signed by {DR} on {D}",
    "{T}\n\nDictated by: {DR}\ncc: {DR}, {H}",
    "{N} is a 64-year-old {O} from {C} who was transferred from {H} on {D}. {T}",
    "Mr. {L} was seen in clinic today. {T} Mr. {L} will follow up with {DR} in {C}.",
    "Mrs. {L} works as a {O}. {T} Please call {P} with questions.",
    "I had the pleasure of seeing {N} at {H}. {T} She lives in {C} with her husband {F}.",
    "The patient, {F}, reports feeling better. {T} His daughter {F} can be reached at {P}.",
    "{T} Discussed with {DR} of cardiology at {H} on {D}. Email: {E}",
    "ATTENDING: {DR}\nDATE OF ADMISSION: {D}\nDATE OF DISCHARGE: {D}\nHOSPITAL: {H}\n{T}",
    "Referring physician: {N}, MD\nAccount number: {I}\nInsurance member ID {I}\n{T}",
    "{NL}\n{A}\n{C}\nSSN: {S}\n{T}",
    "He is a retired {O} and lives at {A}. {T} Visit us at {U}.",
    "{L}, {F} was admitted to {H}. {T}",
    "Spoke with {N} (wife) at {P}; {T}",
    "Seen by {DR} ({H}) for second opinion. {T}",
    "{T} Consult placed to {DR}. Pt {F} {L} agrees.",
)
JOBS = [
    "teacher",
    "nurse",
    "truck driver",
    "construction worker",
    "software engineer",
    "accountant",
    "farmer",
    "lawyer",
    "carpenter",
    "waitress",
    "chef",
    "electrician",
    "plumber",
    "firefighter",
    "police officer",
    "secretary",
    "salesman",
    "mechanic",
    "librarian",
    "professor",
    "bus driver",
    "cashier",
    "welder",
    "painter",
    "musician",
    "journalist",
    "photographer",
    "architect",
    "pharmacist",
    "dentist",
    "social worker",
    "postal worker",
    "machinist",
    "factory worker",
    "hairdresser",
    "bartender",
    "pilot",
    "veteran",
    "real estate agent",
    "miner",
    "baker",
    "butcher",
    "tailor",
    "janitor",
    "security guard",
    "flight attendant",
    "personal trainer",
    "bank teller",
    "fisherman",
]
STREETS = [
    "Oak",
    "Maple",
    "Cedar",
    "Pine",
    "Elm",
    "Washington",
    "Lake",
    "Hill",
    "Walnut",
    "Spring",
    "North",
    "Ridge",
    "Church",
    "Willow",
    "Mill",
    "Sunset",
    "Railroad",
    "Jefferson",
    "Center",
    "Park",
]
WAYS = ["Street", "St", "Ave", "Avenue", "Road", "Rd", "Lane", "Drive", "Dr", "Blvd", "Court", "Way"]
HOUSES = [
    "{C} General Hospital",
    "{C} Medical Center",
    "St. {F}'s Hospital",
    "{C} Clinic",
    "University of {G} Hospital",
    "{L} Memorial Hospital",
    "{C} Regional",
    "Mount {L} Hospital",
    "{C} Children's Hospital",
    "{L} Institute",
    "{C} Health",
    "{L} Clinic",
    "St. {F} Medical Center",
    "{C} University Hospital",
    "{C} VA",
    "{L} Cancer Center",
    "Sacred Heart Hospital",
    "{C} Community Hospital",
    "Mercy Hospital {C}",
    "{L} Rehab Center",
    "{C} Health System",
    "{L} Medical Group",
    "{C} Urgent Care",
    "Sunrise Nursing Home",
    "{L} Family Practice",
    "{C} Med Center",
    "{C} Methodist",
    "{C} Presbyterian",
]


class Pool:
    """Names and places to draw from."""

    def __init__(self, phrases: dict[str, str], chance: random.Random) -> None:
        chosen: dict[str, list[str]] = {kind: [] for kind in "FLYG"}
        for phrase, kinds in phrases.items():
            for kind in kinds:
                if kind in chosen and (kind in "YG" or " " not in phrase):
                    chosen[kind].append(phrase.title())
        self.lists = {kind: sorted(words) for kind, words in chosen.items()}
        self.chance = chance

    def draw(self, what: str) -> str:
        """A made-up value: F given name, L family name, C city, G state, N full name, H hospital, A address, I, D, P ..."""
        pick, number = self.chance.choice, self.chance.randint
        if what in ("F", "L", "G"):
            return pick(self.lists[what])
        if what == "C":
            return pick(self.lists["Y"]) + (", " + pick(("NY", "CA", "TX", "MA", "OH", "FL", "WA")) if self.chance.random() < 0.3 else "")
        if what == "N":
            return pick(("{F} {L}", "{F} {L}", "{F} {I1}. {L}", "{F} {L1}.", "{F} {L}-{L}")).format(
                F=self.draw("F"), L=self.draw("L"), I1=pick("ABCDEFGHJKLMRST"), L1=pick("ABCDEFGHJKLMRSTW")
            )
        if what == "NL":
            return f"{self.draw('L')}, {self.draw('F')}"
        if what == "DR":
            return pick(("Dr. {L}", "Dr. {F} {L}", "{F} {L}, MD", "Dr {L}", "{F} {L}")).format(F=self.draw("F"), L=self.draw("L"))
        if what == "H":
            return pick(HOUSES).format(C=pick(self.lists["Y"]), F=self.draw("F"), L=self.draw("L"), G=self.draw("G"))
        if what == "A":
            return f"{number(1, 9999)} {pick(STREETS)} {pick(WAYS)}" + (
                f", {self.draw('C')} {number(10000, 99999)}" if number(0, 1) else ""
            )
        return self.plain(what)

    def plain(self, what: str) -> str:
        """Numbers, dates, mail and web addresses, professions."""
        pick, number = self.chance.choice, self.chance.randint
        letters = "".join(pick("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(number(1, 4)))
        month = pick(
            [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
                "Jan",
                "Feb",
                "Oct",
                "Dec",
            ]
        )
        day, year = number(1, 28), number(1930, 2026)
        if what == "I":
            return pick(
                (
                    f"{letters}-{number(1000, 9999999)}",
                    str(number(10000, 99999999)),
                    f"{letters}{number(10000, 999999)}",
                    f"{number(100, 999)}-{number(10, 99)}-{number(100, 9999)}",
                    f"#{letters}-{number(10000, 999999)}",
                )
            )
        if what == "D":
            return pick(
                (
                    f"{month} {day}, {year}",
                    f"{number(1, 12)}/{day}/{year}",
                    f"{year}-{number(1, 12):02}-{day:02}",
                    f"{month} {day}",
                    f"{number(1, 12)}/{day}/{year % 100:02}",
                    f"{day} {month} {year}",
                    f"{month} {year}",
                )
            )
        if what == "P":
            return pick(("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}")).format(
                number(201, 989), number(200, 999), number(1000, 9999)
            )
        if what == "S":
            return f"{number(100, 899)}-{number(10, 99)}-{number(1000, 9999)}"
        if what == "E":
            house = f"{pick(('example', 'mail', 'clinic', 'health'))}.{pick(('com', 'org', 'edu'))}"
            return f"{self.draw('F').lower()}.{self.draw('L').lower()}@{house}"
        if what == "U":
            return pick(("www.{}.org", "https://{}.com/portal", "http://www.{}.net")).format(self.draw("L").lower())
        return pick(JOBS)


HOLES = {
    "N": "NAME",
    "NL": "NAME",
    "F": "NAME",
    "L": "NAME",
    "DR": "NAME",
    "D": "DATE",
    "I": "ID",
    "S": "ID",
    "A": "ADDRESS",
    "C": "ADDRESS",
    "H": "ADDRESS",
    "P": "PHONE_OR_FAX",
    "E": "EMAIL",
    "U": "URL",
    "O": "PROFESSION",
}


def filled(template: str, pool: Pool, body: str) -> Brat:
    """A note with made-up values in its holes, annotated."""
    text, spans = "", []
    for number, part in enumerate(template.split("{")):
        hole, _, rest = part.partition("}") if number else ("", "", part)
        if hole == "T":
            text += body
        elif hole:
            value = pool.draw(hole)
            bare = value.removeprefix("Dr. ").removeprefix("Dr ").removesuffix(", MD")
            begin = len(text) + value.index(bare)
            spans.append(Span("", begin, begin + len(bare), HOLES[hole]))
            text += value
        text += rest
    return Brat("", text, tuple(spans), ())


def swapped(query: Query, pool: Pool) -> Brat:
    """A query with its names, places and numbers replaced by others."""
    holes = {"NAME": "N", "GEOGRAPHIC_LOCATION": "H", "DATE": "D", "PHONE_NUMBER": "P", "EMAIL_ADDRESS": "E"}
    text, spans, at = "", [], 0
    for begin, end, kind in sorted(query.gold):
        if begin < at:
            continue
        text += query.text[at:begin]
        value = pool.draw("C" if kind == "GEOGRAPHIC_LOCATION" and pool.chance.random() < 0.4 else holes.get(kind, "I"))
        spans.append(Span("", len(text), len(text) + len(value), kind))
        text += value
        at = end
    return Brat("", text + query.text[at:], tuple(spans), ())


def annotated(query: Query) -> list[Sentence]:
    """A query as it is, labelled."""
    spans = tuple(Span("", begin, end, kind) for begin, end, kind in query.gold)
    return labelled(Brat("", query.text, spans, ()), TYPES, query.fold)


def training_texts(shared: Path, phrases: dict[str, str], copies: int = 3, seed: int = 11) -> list[Sentence]:
    """All training sentences; what is made from a query keeps its fold, what is made from nothing has fold -1."""
    pool = Pool(phrases, random.Random(seed))  # noqa: S311 (training data, not secrets)
    found: list[Sentence] = []
    for query in queries(shared):
        found += annotated(query)
        for _ in range(copies):
            found += labelled(swapped(query, pool), TYPES, query.fold)
    bodies = [" ".join(one.words) for one in bc5cdr(shared) + chia(shared) if len(one.words) > 6]
    for number in range(2500):
        body = " ".join(pool.chance.sample(bodies, 2))
        found += labelled(filled(NOTES[number % len(NOTES)], pool, body), TYPES, -1)
    return found + clean(shared, pool)


def clean(shared: Path, pool: Pool) -> list[Sentence]:
    """Sentences without names, dates or places: what must not be taken for protected."""
    places = {"Nonbiological_location": "ADDRESS", "Occupation": "PROFESSION"}
    found = []
    for document in maccrobat_documents(shared):
        found += labelled(without_dates(document), places, -1)
    plain: Sequence[Sentence] = pool.chance.sample(bc5cdr(shared) + chia(shared), 4000)
    return found + [Sentence(one.words, ("O",) * len(one.words), -1) for one in plain]


def without_dates(document: Brat) -> Brat:
    """The lines of a case report that hold no date."""
    lines, spans, begin = "", [], 0
    for line in document.text.splitlines(keepends=True):
        inside = [span for span in document.spans if begin <= span.begin < begin + len(line)]
        if not any(span.type == "Date" for span in inside):
            shift = len(lines) - begin
            spans += [Span(span.name, span.begin + shift, span.end + shift, span.type) for span in inside]
            lines += line
        begin += len(line)
    return Brat(document.name, lines, tuple(spans), ())
