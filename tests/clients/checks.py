"""What the two Python clients share: the variables, and how a result is said."""

import os
import sys

LDAP = os.environ["LDAP_URL"]
LDAPS = os.environ["LDAPS_URL"]
CA = os.environ["CA_FILE"]
BASE = os.environ["BASE"]
SEARCHER = os.environ["SEARCHER"]
SEARCHER_SECRET = os.environ["SEARCHER_SECRET"]
PERSON = os.environ["PERSON"]
PERSON_PASSWORD = os.environ["PERSON_PASSWORD"]
MACHINE = os.environ["MACHINE"]
MACHINE_SECRET = os.environ["MACHINE_SECRET"]
# A certificate that the server takes for somebody, where the test has one.
CLIENT_CERTIFICATE = os.environ.get("CLIENT_CERTIFICATE")
CLIENT_KEY = os.environ.get("CLIENT_KEY")
CLIENT = os.environ.get("CLIENT")

PAGED = "1.2.840.113556.1.4.319"
SORT = "1.2.840.113556.1.4.473"
VLV = "2.16.840.1.113730.3.4.9"
ASSERTION = "1.3.6.1.1.12"
MATCHED_VALUES = "1.2.826.0.1.3344810.2.3"
PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"


def ok(what):
    print("ok:", what, flush=True)


def skipped(what, why="not advertised"):
    print(f"skipped: {what}: {why}", flush=True)


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
