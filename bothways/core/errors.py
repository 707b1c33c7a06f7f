"""Every error that Bothways raises on purpose, in one tree.

    BothwaysError
    ├── UsageError                         the request is wrong: exit code 2, HTTP 422
    │   ├── SettingsError
    │   ├── QueryError
    │   ├── UnknownFieldError
    │   ├── SynonymsError
    │   └── EvaluationError
    ├── ElasticsearchError                 Elasticsearch failed
    │   ├── ElasticsearchUnavailableError  503
    │   │   └── SearchTimeoutError         504
    │   ├── IndexReadOnlyError             409
    │   │   └── IndexFullError             507
    │   ├── ElasticsearchVersionError
    │   └── CollectionGoneError            404, a CollectionNotFoundError, too
    ├── CollectionNotFoundError            404
    ├── DocumentNotFoundError              404
    ├── AliasError                         409
    ├── IncompatibleCollectionError        409
    ├── AccessError                        403
    ├── JobNotFoundError                   404
    ├── JobStateError                      409
    ├── JobStoppedError                    a job ends before its work is done
    │   ├── JobCancelledError
    │   ├── JobInterruptedError
    │   └── LeaseLostError
    ├── LeaseHeldError                     409
    ├── ReadError, ReaderError             a file, or the process that reads files
    ├── ModelError                         a model on this machine
    │   └── EncodingTimeoutError
    ├── LLMError                           a language model
    │   ├── LLMUnavailableError
    │   └── LLMAnswerTooLargeError
    ├── MissingExtraError                  an optional dependency
    ├── NodeError, KibanaError             a process beside ours
    ├── ListenError                        our own server, here and below
    ├── OverloadedError                    503
    │   └── ServerEndingError
    ├── FeedbackOffError                   409
    └── StorageFullError                   507

A caller catches `BothwaysError` to catch them all. Each message is one sentence that says what is wrong and, where it
helps, one that says what to do. The command line prints it as it is, the API puts it into `detail`.
"""

from __future__ import annotations


class BothwaysError(Exception):
    """The root: what goes wrong that a user can understand and repair."""


# The request


class UsageError(BothwaysError):
    """The request itself is wrong (a bad option, a bad input file): exit code 2, HTTP 422."""


class SettingsError(UsageError):
    """A setting is missing or has a value that cannot be used."""


class QueryError(UsageError):
    """A query is empty, far too long or not a question for another reason."""


class UnknownFieldError(UsageError):
    """A filter names a metadata field that the collection does not have."""


class SynonymsError(UsageError):
    """Synonym rules cannot be used, or they cannot be stored; the message names the lines."""


class EvaluationError(UsageError):
    """Queries or judgments cannot be used; the message names file and line."""


# Elasticsearch


class ElasticsearchError(BothwaysError):
    """Elasticsearch refused a request, or failed while it answered."""


class ElasticsearchUnavailableError(ElasticsearchError):
    """Elasticsearch does not answer, or has no room for the request now: HTTP 503 with `Retry-After`.

    `retry_after_s` is when another try is worth it: a node that is restarted needs that long.
    """

    retry_after_s = 5


class SearchTimeoutError(ElasticsearchUnavailableError):
    """Elasticsearch did not answer a search in the time that searches have: HTTP 504."""


class IndexReadOnlyError(ElasticsearchError):
    """An index takes no writes until a person removes its block; a retry does not help: HTTP 409."""


class IndexFullError(IndexReadOnlyError):
    """An index takes no writes because the disk of Elasticsearch is full: HTTP 507."""


class ElasticsearchVersionError(ElasticsearchError):
    """The server is too old, or its major version is not the client's."""


# Collections and documents


class CollectionNotFoundError(BothwaysError):
    """There is no collection of this name: HTTP 404."""


class CollectionGoneError(CollectionNotFoundError, ElasticsearchError):
    """A collection, or the version that was in use, was removed during the request: HTTP 404."""


class DocumentNotFoundError(BothwaysError):
    """The collection has no such document: HTTP 404."""


class AliasError(BothwaysError):
    """A collection has versions, and its alias points to none or to several of them: HTTP 409."""


class IncompatibleCollectionError(BothwaysError):
    """The collection was built with another embedding model, dimension or schema than the current one: HTTP 409."""


class AccessError(BothwaysError):
    """The caller may not do this: HTTP 403. The message does not tell whether a hidden document exists."""


# Jobs


class JobNotFoundError(BothwaysError):
    """There is no record of a job with this id: HTTP 404."""


class JobStateError(BothwaysError):
    """A job is in a state in which it can be neither cancelled nor retried: HTTP 409."""


class JobStoppedError(BothwaysError):
    """A job ends before its work is done."""


class JobCancelledError(JobStoppedError):
    """A user cancelled the job."""


class JobInterruptedError(JobStoppedError):
    """The process that runs the job has to end; the job resumes when the process starts again."""


class LeaseLostError(JobStoppedError):
    """Another process took over the lease, because this one did not renew it for too long."""


class LeaseHeldError(BothwaysError):
    """Another process holds the lease: HTTP 409. `who` is the holder, `note` what it holds it for."""

    def __init__(self, message: str, *, who: str = "", note: str = "") -> None:
        super().__init__(message)
        self.who = who
        self.note = note


# Files


class ReadError(BothwaysError):
    """A file is not what its name says, or is damaged. It is listed as failed; the other files are read."""


class ReaderError(BothwaysError):
    """The process that reads files cannot be started, so no file can be read."""


# Models


class ModelError(BothwaysError):
    """A model cannot be found, loaded or run."""


class EncodingTimeoutError(ModelError):
    """The embedding model did not encode a question in time."""


class LLMError(BothwaysError):
    """The language model gave no usable answer."""


class LLMUnavailableError(LLMError):
    """The language model's endpoint is down, refuses the key, or stays overloaded after all retries."""


class LLMAnswerTooLargeError(LLMError):
    """The language model sends more bytes, events or characters than any answer has; reading was stopped."""


class MissingExtraError(BothwaysError):
    """An optional dependency is needed and not installed; the message has the install command."""


# Processes beside ours, and our own server


class NodeError(BothwaysError):
    """The local Elasticsearch node cannot be fetched, started or stopped."""


class KibanaError(BothwaysError):
    """Kibana cannot be reached, or refuses what is sent to it."""


class ListenError(BothwaysError):
    """The API cannot listen on the address that is set."""


class OverloadedError(BothwaysError):
    """The server has more requests than it takes at once: HTTP 503 with `Retry-After`, which is `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerEndingError(OverloadedError):
    """The server is shutting down, and the request was not carried out: HTTP 503 with `Retry-After`."""


class FeedbackOffError(BothwaysError):
    """Feedback was sent to a server that records none: HTTP 409."""


class StorageFullError(BothwaysError):
    """The disk has no room for an upload: HTTP 507."""
