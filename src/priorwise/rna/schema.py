"""The RNA table: its columns, and the names of its partitions."""

import pyarrow as pa

SCHEMA_NAME = "rna/1"
#: the one table in a data folder
TABLE = "rna_data"

RNA_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("sequence", pa.string()),  # letters out of ACGUN
        ("structure", pa.string()),  # dot-bracket; null = unknown, or a base has several partners
        ("pairs", pa.list_(pa.list_(pa.int32(), 2))),  # from 0, i < j, sorted; null = unknown
        ("family", pa.string()),  # empty = not known
        ("partition", pa.string()),
    ]
)

TRAINING, VALIDATION, TEST, UNSEEN, CUT = "TR0", "VL0", "TS0", "NEW", "CUT"
#: partition -> what it is for; the names are those of the published bpRNA split
PARTITIONS = {
    TRAINING: "training",
    VALIDATION: "validation, of the families of the training",
    TEST: "test, of the families of the training",
    UNSEEN: "test, of families that the training does not have",
    CUT: "cut out of the training: not similar to what is left of it",
}
