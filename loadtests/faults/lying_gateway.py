"""A gateway that answers before it commits: a mutant of the gateway's fault test."""

import sys

from dispatch_api import cli
from dispatch_api.gateway import server
from loadtests.faults.mutants import AnswersFirst

if __name__ == "__main__":
    vars(server)["Writer"] = AnswersFirst
    sys.argv = ["outrider", "gateway"]
    cli.main()
