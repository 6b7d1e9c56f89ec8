"""Annex IV of Regulation (EU) 2024/1689 (the AI Act), point by point, and which files of the evidence speak of it.

The points are cited from OJ L, 2024/1689, 12.7.2024 (© European Union, reuse under Decision 2011/833/EU). A file is
named where it answers, in whole or in part; what nobody has on record is said to be the team's, and no more.

Long because a text of law is cited and not retold.
"""

from __future__ import annotations

from dataclasses import dataclass

LAW = "Regulation (EU) 2024/1689, Annex IV, technical documentation referred to in Article 11(1)"


@dataclass(frozen=True)
class Point:
    """One point of the Annex.

    Attributes:
        number: Such as `2 (d)`.
        text: Of the law.
        files: Files that say something of it, or folders, with a slash.
        says: What these say.
        team: What the team has to supply: no point is answered by records alone.
    """

    number: str
    text: str
    files: tuple[str, ...] = ()
    says: str = ""
    team: str = "all of it"


GENERAL = "A general description of the AI system including:"
ELEMENTS = "A detailed description of the elements of the AI system and of the process for its development, including:"
HEADINGS = {"1": GENERAL, "2": ELEMENTS}
POINTS = (
    Point(
        "1 (a)",
        "its intended purpose, the name of the provider and the version of the system reflecting its relation to "
        "previous versions;",
        ("card.md", "ledger.json", "records/versions/"),
        "what the team has written of its use, the version by its digest, its generations, and whom it followed",
        "the name of the provider; the intended purpose in full, where the card says that it is not written down",
    ),
    Point(
        "1 (b)",
        "how the AI system interacts with, or can be used to interact with, hardware or software, including with "
        "other AI systems, that are not part of the AI system itself, where applicable;",
        ("model.yaml",),
        "where its inputs come from (sources) and where its predictions are published to (publish)",
        "how what reads the predictions makes use of them",
    ),
    Point(
        "1 (c)",
        "the versions of relevant software or firmware, and any requirements related to version updates;",
        ("sbom.cdx.json",),
        "each package that was installed when the version was trained",
        "firmware, and what an update asks for",
    ),
    Point(
        "1 (d)",
        "the description of all the forms in which the AI system is placed on the market or put into service, such "
        "as software packages embedded into hardware, downloads, or APIs;",
    ),
    Point(
        "1 (e)",
        "the description of the hardware on which the AI system is intended to run;",
        team="all of it; records/training_costs/ has the hardware of the training, and says nothing of later use",
    ),
    Point(
        "1 (f)",
        "where the AI system is a component of products, photographs or illustrations showing external features, "
        "the marking and internal layout of those products;",
        team="all of it, if it is a component of a product",
    ),
    Point(
        "1 (g)",
        "a basic description of the user-interface provided to the deployer;",
    ),
    Point(
        "1 (h)",
        "instructions for use for the deployer, and a basic description of the user-interface provided to the "
        "deployer, where applicable;",
    ),
    Point(
        "2 (a)",
        "the methods and steps performed for the development of the AI system, including, where relevant, recourse "
        "to pre-trained systems or tools provided by third parties and how those were used, integrated or modified "
        "by the provider;",
        (
            "card.md",
            "model.yaml",
            "features.sql",
            "model.py",
            "training_script.py",
            "records/trainings/",
            "records/versions/",
        ),
        "how the features are computed, what was fitted, with which parameters and seed, and from which version it "
        "goes on",
        "the steps that people took before: choosing the problem, the sources and the features",
    ),
    Point(
        "2 (b)",
        "the design specifications of the system, namely the general logic of the AI system and of the algorithms; "
        "the key design choices including the rationale and assumptions made, including with regard to persons or "
        "groups of persons in respect of who, the system is intended to be used; the main classification choices; "
        "what the system is designed to optimise for, and the relevance of the different parameters; the "
        "description of the expected output and output quality of the system; the decisions about any possible "
        "trade-off made regarding the technical solutions adopted to comply with the requirements set out in "
        "Chapter III, Section 2;",
        ("model.yaml", "features.sql", "card.md"),
        "what is predicted, what was optimised, the thresholds of the gates, and how much the model goes by each "
        "feature",
        "the rationale, the assumptions, the persons in respect of whom it is used, and the trade-offs",
    ),
    Point(
        "2 (c)",
        "the description of the system architecture explaining how software components build on or feed into each "
        "other and integrate into the overall processing; the computational resources used to develop, train, test "
        "and validate the AI system;",
        ("records/training_costs/",),
        "cores, seconds and hardware of the training that made it",
        "the architecture; the resources of development and of trainings that led nowhere",
    ),
    Point(
        "2 (d)",
        "where relevant, the data requirements in terms of datasheets describing the training methodologies and "
        "techniques and the training data sets used, including a general description of these data sets, "
        "information about their provenance, scope and main characteristics; how the data was obtained and "
        "selected; labelling procedures (e.g. for supervised learning), data cleaning methodologies (e.g. outliers "
        "detection);",
        ("card.md", "contracts/", "records/snapshots/", "provenance.json", "model.yaml"),
        "rows, period and partitions of the training set, each content by its digest and looked at again; what a "
        "delivery must look like and how many rows were set aside; the SQL of the label",
        "how the data was obtained, whom it stands for, and how those who label go about it",
    ),
    Point(
        "2 (e)",
        "assessment of the human oversight measures needed in accordance with Article 14, including an assessment "
        "of the technical measures needed to facilitate the interpretation of the outputs of AI systems by the "
        "deployers, in accordance with Article 13(3), point (d);",
        ("model.yaml", "ledger.json"),
        "whether a person has to approve a promotion (approvals), who did, and which predictions are explained "
        "(explain)",
        "the assessment",
    ),
    Point(
        "2 (f)",
        "where applicable, a detailed description of pre-determined changes to the AI system and its performance, "
        "together with all the relevant information related to the technical solutions adopted to ensure continuous "
        "compliance of the AI system with the relevant requirements set out in Chapter III, Section 2;",
        ("model.yaml",),
        "when it is trained again by itself, by which gates a successor is judged, and when it is rolled back",
        "why these changes keep to the requirements",
    ),
    Point(
        "2 (g)",
        "the validation and testing procedures used, including information about the validation and testing data "
        "used and their main characteristics; metrics used to measure accuracy, robustness and compliance with "
        "other relevant requirements set out in Chapter III, Section 2, as well as potentially discriminatory "
        "impacts; test logs and all test reports dated and signed by the responsible persons, including with regard "
        "to pre-determined changes as referred to under point (f);",
        ("records/gate_reports/", "records/gate_figures/", "card.md", "ledger.json"),
        "each gate with its numbers and intervals, the rows that it was judged on, slices, groups where fairness "
        "was asked for, calibration, and who approved when",
        "robustness and discriminatory impacts where the card says that nobody looked; the signatures of persons: "
        "that of this file is of a key",
    ),
    Point(
        "2 (h)",
        "cybersecurity measures put in place;",
    ),
    Point(
        "3",
        "Detailed information about the monitoring, functioning and control of the AI system, in particular with "
        "regard to: its capabilities and limitations in performance, including the degrees of accuracy for specific "
        "persons or groups of persons on which the system is intended to be used and the overall expected level of "
        "accuracy in relation to its intended purpose; the foreseeable unintended outcomes and sources of risks to "
        "health and safety, fundamental rights and discrimination in view of the intended purpose of the AI system; "
        "the human oversight measures needed in accordance with Article 14, including the technical measures put in "
        "place to facilitate the interpretation of the outputs of AI systems by the deployers; specifications on "
        "input data, as appropriate;",
        ("card.md", "monitoring.json", "contracts/"),
        "performance as the gates have measured it, its limits as far as they are known, what MONITOR has seen "
        "since, and what inputs must look like",
        "unintended outcomes and sources of risks; the oversight measures",
    ),
    Point(
        "4",
        "A description of the appropriateness of the performance metrics for the specific AI system;",
        team="all of it; records/gate_reports/ names the metrics, and not why they are the right ones",
    ),
    Point(
        "5",
        "A detailed description of the risk management system in accordance with Article 9;",
    ),
    Point(
        "6",
        "A description of relevant changes made by the provider to the system through its lifecycle;",
        ("ledger.json", "records/requests/", "card.md"),
        "why the version was trained, what changed in what it goes by, its seats and its rollbacks",
        "changes of the system around the model",
    ),
    Point(
        "7",
        "A list of the harmonised standards applied in full or in part the references of which have been published "
        "in the Official Journal of the European Union; where no such harmonised standards have been applied, a "
        "detailed description of the solutions adopted to meet the requirements set out in Chapter III, Section 2, "
        "including a list of other relevant standards and technical specifications applied;",
    ),
    Point(
        "8",
        "A copy of the EU declaration of conformity referred to in Article 47;",
    ),
    Point(
        "9",
        "A detailed description of the system in place to evaluate the AI system performance in the post-market "
        "phase in accordance with Article 72, including the post-market monitoring plan referred to in Article "
        "72(3).",
        ("model.yaml", "monitoring.json"),
        "how drift and performance are judged (monitor), and each verdict on what this version has scored",
        "the post-market monitoring plan",
    ),
)
