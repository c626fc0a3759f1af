"""What can go wrong with a store on S3, said in one line without a secret in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws

from seqprep.errors import RemoteError, UnreachableError
from seqprep.remote.address import Address

NOT_THERE = ("404", "NoSuchKey", "NotFound")
NOT_ACCEPTED = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
)
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "301")
PASSING = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503")


@contextmanager
def told(address: Address, *, doing: str) -> Iterator[None]:
    """Turn what the client library raises into one line for a person.

    Args:
        address: of the store.
        doing: what the block does, e.g. "read a/b".
    """
    try:
        yield
    except aws.ClientError as error:
        raise _refused(address, error, doing) from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise RemoteError(
            f"{address}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE"
        ) from error
    except (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError) as error:
        raise UnreachableError(
            f"{address}: {address.server} does not answer ({type(error).__name__}, to {doing}); "
            "check the network and the endpoint (--endpoint, AWS_ENDPOINT_URL), then run again"
        ) from error
    except aws.BotoCoreError as error:
        raise RemoteError(f"{address}: cannot {doing}: {error}") from error


def _refused(address: Address, error: aws.ClientError, doing: str) -> RemoteError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return RemoteError(
            f"{address}: there is no bucket {address.bucket!r} on {address.server}; create it, or "
            "name another (--store, --endpoint)"
        )
    if code in NOT_ACCEPTED:
        return RemoteError(
            f"{address}: the credentials are not accepted ({code}); set those of "
            f"{address.server}, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
        )
    if code in ELSEWHERE:
        return RemoteError(
            f"{address}: the bucket lies in another region ({code}); set AWS_REGION to it"
        )
    if code in ("AccessDenied", "403", "Forbidden"):
        return RemoteError(
            f"{address}: access denied: these credentials may not {doing}; allow list, get, put "
            "and delete of objects there"
        )
    if code in PASSING or status >= 500:
        return UnreachableError(
            f"{address}: {address.server} cannot {doing} now ({code}); run again"
        )
    return RemoteError(f"{address}: {address.server} refused to {doing} ({code})")


def code_of(error: aws.ClientError) -> str:
    """The server's name of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
