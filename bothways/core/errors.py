"""Every error that Bothways raises on purpose, in one tree.

A caller catches `BothwaysError` to catch them all. Each message is one sentence that says what is wrong, followed
where it helps by one that says what to do: the command line prints it as it is, the API puts it into `detail`.
"""

from __future__ import annotations


class BothwaysError(Exception):
    """The root: whatever goes wrong that a user can understand and mend."""


class UsageError(BothwaysError):
    """The request itself is wrong (a bad option, a bad file given as input): exit code 2, HTTP 422."""


class SettingsError(UsageError):
    """A setting is missing or has a value that cannot be used."""


class UnknownFieldError(UsageError):
    """A filter names a metadata field that the collection does not have."""


class SynonymsError(UsageError):
    """Rules of synonyms cannot be used, or there is no place to put them; the message names the lines."""


class QueryError(UsageError):
    """A query is empty, far too long or otherwise not a question."""


class MissingExtraError(BothwaysError):
    """An optional dependency is needed and not installed; the message holds the install line."""


class ElasticsearchError(BothwaysError):
    """Elasticsearch refused or failed a request."""


class ElasticsearchUnavailableError(ElasticsearchError):
    """Elasticsearch does not answer, or has no room for the request just now: HTTP 503 with `Retry-After`.

    `retry_after_s`: after so many seconds it is worth another try, since a node that starts again takes longer.
    """

    retry_after_s = 5


class IndexReadOnlyError(ElasticsearchError):
    """An index takes no writes until somebody takes its block off, so a retry is no use: HTTP 409."""


class IndexFullError(IndexReadOnlyError):
    """An index takes no writes since the disk of Elasticsearch is full: HTTP 507."""


class SearchTimeoutError(ElasticsearchUnavailableError):
    """Elasticsearch did not answer a search in the time that searches have: HTTP 504."""


class KibanaError(BothwaysError):
    """Kibana cannot be reached, or does not take what is sent to it."""


class OverloadedError(BothwaysError):
    """More is asked at once than the server takes on: HTTP 503 with `Retry-After`, which is `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerEndingError(OverloadedError):
    """The server is about to end, and what it was asked is not done: HTTP 503 with `Retry-After`."""


class ElasticsearchVersionError(ElasticsearchError):
    """The server is too old, or its major version is not the client's."""


class NodeError(BothwaysError):
    """The local Elasticsearch node cannot be fetched, started or stopped."""


class ListenError(BothwaysError):
    """The API cannot listen where it was told to."""


class CollectionNotFoundError(BothwaysError):
    """No collection of that name: HTTP 404."""


class AliasError(BothwaysError):
    """A collection has versions, and its alias points to none or to no single one of them: HTTP 409."""


class CollectionGoneError(CollectionNotFoundError, ElasticsearchError):
    """A collection, or the version of it that was in use, was removed in the middle of a request: HTTP 404."""


class AccessError(BothwaysError):
    """The one who asks may not do this: HTTP 403. What he may not see is not there for him, and no error says more."""


class IncompatibleCollectionError(BothwaysError):
    """The collection was built with another embedding model, dimension or schema than the one in use: HTTP 409."""


class ReadError(BothwaysError):
    """A file cannot be read as what it claims to be. It is counted and named; the other files go on."""


class ReaderError(BothwaysError):
    """The process that reads files cannot be started, so that no file can be read."""


class ModelError(BothwaysError):
    """A model cannot be found, loaded or run."""


class EncodingTimeoutError(ModelError):
    """The embedding model has not encoded a question in the time that it has."""


class LLMError(BothwaysError):
    """The language model gave no usable answer."""


class LLMUnavailableError(LLMError):
    """The language model's endpoint is down, refuses the key or stays overloaded after all retries."""


class LLMAnswerTooLargeError(LLMError):
    """The language model's answer has more bytes, events or characters than any answer; it was given up there."""


class EvaluationError(UsageError):
    """Queries or judgements cannot be used; the message names file and line."""


class DocumentNotFoundError(BothwaysError):
    """The collection has no such document: HTTP 404."""


class JobNotFoundError(BothwaysError):
    """There is no record of a job of that id: HTTP 404."""


class JobStateError(BothwaysError):
    """A job is not in a state in which it can be cancelled or retried: HTTP 409."""


class JobStoppedError(BothwaysError):
    """A job ends before its work is done."""


class JobCancelledError(JobStoppedError):
    """Somebody cancelled the job."""


class JobInterruptedError(JobStoppedError):
    """The process that runs the job is told to end; the job goes on when it starts again."""


class LeaseLostError(JobStoppedError):
    """Another process has taken over what this one held, since it was not heard of for too long."""


class LeaseHeldError(BothwaysError):
    """Somebody else holds the lease: HTTP 409. `who` is the holder, `note` what it holds it for."""

    def __init__(self, message: str, *, who: str = "", note: str = "") -> None:
        super().__init__(message)
        self.who = who
        self.note = note


class FeedbackOffError(BothwaysError):
    """Feedback is sent to a server that records none: HTTP 409."""


class StorageFullError(BothwaysError):
    """The disk has no room for an upload: HTTP 507."""
