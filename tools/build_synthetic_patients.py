"""Maintainers: writes the resources that PreloadDataConfig SYNTHEA loads, invented people with real codes, from a fixed seed.

    python -m tools.build_synthetic_patients

The names are made up; the codes are those of LOINC, ICD-10-CM, RxNorm, CVX, HCPCS and HL7 for everyday care. The types are those
that HealthLake preloads. Every resource is valid under strict validation and points only to others of the set; a test says so.
"""

from __future__ import annotations

import gzip
import random
from datetime import date, timedelta
from typing import Any

import msgspec

from opentrail.services.healthlake.engine.synthetic import FILE

Json = dict[str, Any]
PATIENTS = 12
TODAY = date(2026, 1, 1)
ICD, LOINC, RXNORM = "http://hl7.org/fhir/sid/icd-10-cm", "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm"
HCPCS = "urn:oid:2.16.840.1.113883.6.285"
UCUM, HL7, CVX = "http://unitsofmeasure.org", "http://terminology.hl7.org/CodeSystem/", "http://hl7.org/fhir/sid/cvx"

FAMILIES = ("Arden", "Brook", "Calder", "Dunmore", "Ellery", "Fairholt", "Garrow", "Hollins", "Ingram", "Jarrow", "Kestrel", "Lomax")
GIVEN = {
    "female": ("Ada", "Bryony", "Clio", "Dorothea", "Edda", "Fenna"),
    "male": ("Abel", "Bram", "Cosmo", "Daan", "Emil", "Florian"),
}
CONDITIONS = (
    (
        "E11.9",
        "Type 2 diabetes mellitus without complications",
        "860975",
        "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet",
    ),
    ("I10", "Essential (primary) hypertension", "314076", "lisinopril 10 MG Oral Tablet"),
    ("J45.909", "Unspecified asthma, uncomplicated", "895994", "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler"),
    ("E78.5", "Hyperlipidemia, unspecified", "617312", "atorvastatin 20 MG Oral Tablet"),
)
ALLERGIES = (
    ("Z91.010", "Allergy to peanuts"),
    ("J30.81", "Allergic rhinitis due to animal hair and dander"),
    ("Z88.0", "Allergy status to penicillin"),
)
VITALS = (
    ("8302-2", "Body height", 150, 195, "cm"),
    ("29463-7", "Body weight", 50, 105, "kg"),
    ("8867-4", "Heart rate", 55, 95, "/min"),
    ("8310-5", "Body temperature", 36, 38, "Cel"),
)
LABS = (
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 5, 9, "%"),
    ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", 150, 260, "mg/dL"),
)
VACCINES = (("140", "Influenza, split virus, trivalent, PF"), ("133", "Pneumococcal conjugate PCV 13"), ("115", "Tdap"))


def concept(system: str, code: str, display: str = "") -> Json:
    """A CodeableConcept with one coding."""
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display}], "text": display} if display else {"coding": [coding]}


CHECK_UP = concept(HCPCS, "G0463", "Hospital outpatient clinic visit for assessment and management of a patient")


def pointing(kind: str, id: str) -> Json:
    """A reference."""
    return {"reference": f"{kind}/{id}"}


class Maker:
    """Makes the resources of one set in order; ids tell the kind and a number."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - invented people, the same at every run
        self.made: list[Json] = []

    def add(self, kind: str, id: str, **members: Any) -> Json:
        """Adds a resource; the reference to it."""
        self.made.append({"resourceType": kind, "id": id, **members})
        return pointing(kind, id)

    def day(self, first: int, last: int) -> date:
        """A day between so many days before the set's own."""
        return TODAY - timedelta(days=self.chance.randrange(last, first))

    def world(self) -> None:
        """The hospital, its ward and its people."""
        address = [{"line": ["1 Harbour Road"], "city": "Northhaven", "postalCode": "00100", "country": "XX"}]
        hospital = self.add("Organization", "hospital", active=True, name="Northhaven General Hospital", address=address)
        self.add("Organization", "payer", active=True, name="Northhaven Mutual")
        self.add("Location", "ward-1", status="active", name="Medical ward 1", managingOrganization=hospital)
        for number, (family, given) in enumerate((("Penrose", "Maud"), ("Quill", "Osric"))):
            identifier = [{"system": "http://hl7.org/fhir/sid/us-npi", "value": f"99999{number:05d}"}]
            name = [{"family": family, "given": [given], "prefix": ["Dr."]}]
            doctor = self.add("Practitioner", f"doctor-{number}", active=True, identifier=identifier, name=name)
            code = [{"text": "General physician"}]
            self.add("PractitionerRole", f"role-{number}", active=True, practitioner=doctor, organization=hospital, code=code)

    def patient(self, number: int) -> None:
        """One patient with a course of care."""
        p, gender = f"p{number:02d}", ("female", "male")[number % 2]
        given = GIVEN[gender][number // 2 % 6]
        born = TODAY - timedelta(days=self.chance.randrange(25 * 365, 85 * 365))
        kind = concept(HL7 + "v2-0203", "MR", "Medical record number")
        who = self.add(
            "Patient", p, active=True, identifier=[{"type": kind, "system": "urn:opentrail:example:mrn", "value": f"MRN-{number:05d}"}],
            name=[{"use": "official", "family": FAMILIES[number % len(FAMILIES)], "given": [given]}], gender=gender,
            birthDate=born.isoformat(), address=[{"line": [f"{number + 1} Mill Lane"], "city": "Northhaven", "postalCode": "00100"}],
            generalPractitioner=[pointing("Practitioner", f"doctor-{number % 2}")],
        )  # fmt: skip
        code, name, drug, drug_name = CONDITIONS[number % len(CONDITIONS)]
        since = self.day(2000, 1200)
        problem = self.add(
            "Condition", f"{p}-condition", clinicalStatus=concept(HL7 + "condition-clinical", "active"),
            verificationStatus=concept(HL7 + "condition-ver-status", "confirmed"),
            category=[concept(HL7 + "condition-category", "problem-list-item")],
            code=concept(ICD, code, name), subject=who, onsetDateTime=since.isoformat(),
        )  # fmt: skip
        if number % 3 == 0:
            self.add(
                "AllergyIntolerance", f"{p}-allergy", clinicalStatus=concept(HL7 + "allergyintolerance-clinical", "active"),
                verificationStatus=concept(HL7 + "allergyintolerance-verification", "confirmed"), patient=who,
                code=concept(ICD, *self.chance.choice(ALLERGIES)), recordedDate=since.isoformat(),
            )  # fmt: skip
        team = self.add(
            "CareTeam",
            f"{p}-team",
            status="active",
            subject=who,
            participant=[{"member": pointing("Practitioner", f"doctor-{number % 2}")}],
        )
        self.add(
            "CarePlan", f"{p}-plan", status="active", intent="plan", subject=who, careTeam=[team], addresses=[problem],
            category=[{"text": "Care plan"}],
        )  # fmt: skip
        for visit in range(2):
            self.visit(number, visit, who, problem, concept(RXNORM, drug, drug_name))

    def visit(self, number: int, visit: int, who: Json, problem: Json, drug: Json) -> None:
        """One visit: what was measured, done, given and billed."""
        v, day = f"p{number:02d}-{visit}", self.day(700 - 300 * visit, 400 - 300 * visit).isoformat()
        doctor, start, end = pointing("Practitioner", f"doctor-{number % 2}"), f"{day}T09:00:00Z", f"{day}T09:45:00Z"
        met = self.add(
            "Encounter", f"{v}-visit", status="finished", type=[CHECK_UP], subject=who,
            participant=[{"individual": doctor}], period={"start": start, "end": end}, serviceProvider=pointing("Organization", "hospital"),
            location=[{"location": pointing("Location", "ward-1")}], **{"class": {"system": HL7 + "v3-ActCode", "code": "AMB"}},
        )  # fmt: skip
        for code, name, low, high, unit in VITALS:
            self.measured(f"{v}-{code}", "vital-signs", (code, name, unit), low, high, who, met, start)
        pressure = [
            {
                "code": concept(LOINC, code, name),
                "valueQuantity": {"value": self.chance.randrange(low, high), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
            }
            for code, name, low, high in (("8480-6", "Systolic blood pressure", 100, 160), ("8462-4", "Diastolic blood pressure", 60, 100))
        ]
        self.observed(
            f"{v}-pressure", "vital-signs", concept(LOINC, "85354-9", "Blood pressure panel"), who, met, start, component=pressure
        )
        labs = [
            self.measured(f"{v}-{code}", "laboratory", (code, name, unit), low, high, who, met, start)
            for code, name, low, high, unit in LABS
        ]
        self.add(
            "DiagnosticReport", f"{v}-report", status="final", category=[concept(HL7 + "v2-0074", "LAB", "Laboratory")],
            code=concept(LOINC, "51990-0", "Basic metabolic panel - Blood"), subject=who, encounter=met, effectiveDateTime=start,
            result=labs,
        )  # fmt: skip
        self.add(
            "Procedure",
            f"{v}-procedure",
            status="completed",
            code=concept(HCPCS, "G0447", "Face-to-face behavioral counseling for obesity, 15 minutes"),
            subject=who,
            encounter=met,
            performedPeriod={"start": start, "end": end},
        )
        request = self.add(
            "MedicationRequest",
            f"{v}-prescription",
            status="active",
            intent="order",
            medicationCodeableConcept=drug,
            subject=who,
            encounter=met,
            authoredOn=start,
            requester=doctor,
            reasonReference=[problem],
        )
        self.add(
            "MedicationAdministration",
            f"{v}-given",
            status="completed",
            medicationCodeableConcept=drug,
            subject=who,
            context=met,
            effectiveDateTime=start,
            request=request,
        )
        code, name = VACCINES[(number + visit) % len(VACCINES)]
        self.add(
            "Immunization",
            f"{v}-vaccine",
            status="completed",
            vaccineCode=concept(CVX, code, name),
            patient=who,
            encounter=met,
            occurrenceDateTime=start,
            primarySource=True,
        )
        if visit == 0:
            self.pictured(number, v, who, met, start)
        self.billed(v, who, met, doctor, day)

    def pictured(self, number: int, v: str, who: Json, met: Json, start: str) -> None:
        """An image, the device of some patients, and where the record of the visit came from."""
        series = {
            "uid": f"1.2.826.0.1.3680043.10.999.{number}.1",
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"},
            "numberOfInstances": 1,
        }
        self.add("ImagingStudy", f"{v}-image", status="available", subject=who, encounter=met, started=start, series=[series])
        if number % 4 == 0:
            self.add("Device", f"{v}-device", status="active", patient=who, type={"text": "Implantable cardiac pacemaker"})
        agent = [{"who": pointing("Organization", "hospital")}]
        self.add("Provenance", f"{v}-provenance", target=[met], recorded=start, agent=agent)

    def billed(self, v: str, who: Json, met: Json, doctor: Json, day: str) -> None:
        """The claim for a visit and what the payer made of it."""
        kind, total = concept(HL7 + "claim-type", "professional"), {"value": self.chance.randrange(80, 400), "currency": "USD"}
        service = {"sequence": 1, "productOrService": CHECK_UP}
        payer, hospital = pointing("Organization", "payer"), pointing("Organization", "hospital")
        claim = self.add(
            "Claim", f"{v}-claim", status="active", type=kind, use="claim", patient=who, created=day, provider=hospital,
            priority=concept(HL7 + "processpriority", "normal"),
            insurance=[{"sequence": 1, "focal": True, "coverage": {"display": "Northhaven Mutual"}}],
            item=[{**service, "encounter": [met]}], total=total,
        )  # fmt: skip
        self.add(
            "ExplanationOfBenefit", f"{v}-benefit", status="active", type=kind, use="claim", patient=who, created=day, insurer=payer,
            provider=doctor, claim=claim, outcome="complete", insurance=[{"focal": True, "coverage": {"display": "Northhaven Mutual"}}],
            item=[{**service, "encounter": [met]}], total=[{"category": concept(HL7 + "adjudication", "submitted"), "amount": total}],
        )  # fmt: skip

    def measured(self, id: str, category: str, what: tuple[str, str, str], low: int, high: int, who: Json, met: Json, when: str) -> Json:
        """An observation of a quantity between two bounds."""
        code, name, unit = what
        value = {"value": round(self.chance.uniform(low, high), 1), "unit": unit, "system": UCUM, "code": unit}
        return self.observed(id, category, concept(LOINC, code, name), who, met, when, valueQuantity=value)

    def observed(self, id: str, category: str, code: Json, who: Json, met: Json, when: str, **found: Any) -> Json:
        """An observation."""
        kind = [concept(HL7 + "observation-category", category)]
        return self.add(
            "Observation", id, status="final", category=kind, code=code, subject=who, encounter=met, effectiveDateTime=when, **found
        )


def resources() -> list[Json]:
    """The whole set, each resource behind those that it points to."""
    maker = Maker(seed=4)
    maker.world()
    for number in range(PATIENTS):
        maker.patient(number)
    return maker.made


def main() -> None:
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in resources())
    FILE.write_bytes(gzip.compress(lines, 9, mtime=0))


if __name__ == "__main__":
    main()
