"""What `promote action=show` prints, also of tags that somebody spoilt."""

from priorwise.phases.registry_table import audit_lines
from priorwise.tracking.audit import AuditEntry


def test_a_line_of_the_audit():
    entry = AuditEntry("promote", "2", "1", "2", "forced", "r" * 32, "then", "recall: worse")
    (line,) = audit_lines([entry])
    for wanted in (
        "001",
        "then",
        "promote forced",
        "version 2",
        "champion 1 -> 2",
        "recall: worse",
    ):
        assert wanted in line
    (line,) = audit_lines([AuditEntry("promote", "3", "2", "2", "refused")])
    assert "champion stays 2" in line and "run" not in line


def test_spoilt_lines_stay_one_line_each_and_say_so():
    odd = AuditEntry("found", "9\n\x1b[31m", "1", "9", reason="a\r\nb\u2028c")
    (line,) = audit_lines([odd])
    assert line.isprintable()
    (line,) = audit_lines([AuditEntry("unreadable", "", "", "", reason="[1]")])
    assert "champion" not in line and "spoilt" in line and line.endswith("[1]")
