"""All verbs of `bothways` in the order of its help.

A help line is the first line of its function's docstring without the full stop; tests/cli/test_commands.py compares
them.
"""

from __future__ import annotations

from collections.abc import Mapping

from bothways.cli.lazy import Group, Verb

SEARCH, INDEX, LEARN, RUN = "Search", "Index", "Measure and learn", "Run"

COMMANDS: Mapping[str, Verb | Group] = {
    "search": Verb("search:search", "Search a collection", SEARCH),
    "ask": Verb("ask:ask", "Answer a question from a collection, with citations", SEARCH),
    "index": Verb("index:index", "Index a file or folder; only what changed since the last time is done", INDEX),
    "jobs": Group(
        {
            "list": Verb("jobs:list_jobs", "List jobs, newest first"),
            "show": Verb("jobs:show", "Show a job and what failed in it; --watch follows it until it ends"),
            "cancel": Verb("jobs:cancel", "Cancel a job; what it has indexed stays"),
            "retry": Verb("jobs:retry", "Run a job that did not succeed again, with the same options"),
            "join": Verb("jobs:join", "Help with a job that was started with --workers, on this or another machine"),
        },
        "List, show, cancel and retry indexing jobs",
        INDEX,
        default="list",
        takes_none=True,
    ),
    "collections": Group(
        {
            "list": Verb("collections:list_all", "List the collections with their versions"),
            "rollback": Verb(
                "collections:roll_back", "Search the version before the last rebuild again, or another one"
            ),
            "adopt": Verb("collections:adopt_version", "Search a version whose alias was lost, as after a restore"),
            "acl": Verb("collections:acl", "Show or set the metadata field that says which keys may see a document"),
        },
        "List the collections; change which version of one is searched",
        INDEX,
        default="list",
        takes_none=True,
    ),
    "documents": Verb("documents:documents", "List the documents of a collection, a page at a time", INDEX),
    "delete": Verb("delete:delete", "Delete a collection, one of its versions, or a document", INDEX),
    "synonyms": Group(
        {
            "apply": Verb(
                "synonyms:apply_command", "Put the rules of a file into force, and prove that each of them acts"
            ),
            "show": Verb("synonyms:show", "Show the rules in force, which indices use them, and which do not act"),
        },
        "Put synonyms into force, and show those in force",
        INDEX,
    ),
    "eval": Group(
        {
            "queries": Verb("evaluate:evaluate", "Measure strategies on judged queries"),
            "trec": Verb("evaluate:trec", "Measure TREC runs of any system; needs no Elasticsearch"),
            "compare": Verb("evaluate:compare", "Compare two reports on the queries that both have"),
            "tune": Verb("tune:tune_fusion", "Find the best fusion parameters for a collection, as a settings file"),
            "calibrate": Verb("calibrate:calibrate", "Find the score below which hits are better not shown"),
        },
        "Measure strategies on judged queries: `bothways eval QUERIES --collection NAME`",
        LEARN,
        default="queries",
    ),
    "feedback": Verb(
        "feedback:feedback", "Count the searches and clicks that the API recorded, and show the latest", LEARN
    ),
    "learn": Group(
        {
            "run": Verb("learn_run:run", "Learn from users' feedback; only what makes nothing worse goes live"),
            "questions": Verb("learn_run:questions", "Write new questions for chunks that users found hard"),
            "rollback": Verb(
                "learn_run:rollback", "Undo the last promotion of a collection: its index and its reranker"
            ),
            "judgments": Verb(
                "learn_judgments:judgments",
                "Turn clicks and votes into judgments, as far as they are certain",
            ),
            "synonyms": Verb(
                "learn:synonyms", "Propose synonyms from questions and texts; none acts until it is applied"
            ),
            "reranker": Verb("learn_reranker:reranker", "Train a reranker on questions, judgments or clicks"),
            "export": Verb("learn_reranker:export", "Export a trained reranker in a small form"),
            "expansion": Verb(
                "learn_expansion:expansion", "Learn when pseudo-documents help, and which ones to prefer"
            ),
            "distill-reranker": Verb("learn_distill:distill", "Train a smaller reranker on the scores of a larger one"),
            "distill-encoder": Verb("learn_distill_encoder:distill", "Train an encoder on the scores of a teacher"),
        },
        "Learn from questions and feedback; people decide",
        LEARN,
    ),
    "serve": Verb("serve:serve", "Serve the REST API and the console until Ctrl-C", RUN),
    "mcp": Verb("mcp:mcp", "Serve search and ask as MCP tools, until stdin ends or Ctrl-C", RUN),
    "es": Group(
        {
            "up": Verb("es:up_command", "Start an Elasticsearch on this machine, and leave it running"),
            "down": Verb("es:down_command", "Stop the Elasticsearch that `up` started; its indexes stay"),
            "status": Verb("es:status_command", "Show which Elasticsearch is used, how it is, and what to do about it"),
        },
        "Start and stop a local Elasticsearch",
        RUN,
    ),
    "kibana": Verb("kibana:kibana", "Bring the dashboard into Kibana, or write it to a file", RUN),
}
