"""Whatever a registry does wrong, a transfer ends with the right bytes or with an error of ours."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from strake_oci.errors import OCIError
from tests.faults import faults
from tests.faults.moves import LARGE, SMALL, pull, push, stored, stream
from tests.faults.registry import FaultyRegistry

times = st.integers(1, 3)
offsets = st.sampled_from([0, 1, 65_535, 65_536, 262_144, 1_000_000, 4_999_999, 5_000_000]) | st.integers(
    0, 6_000_000
)
codes = st.sampled_from([400, 401, 403, 404, 408, 411, 413, 416, 429, 500, 502, 503, 504])
uploads = st.sampled_from(["POST", "PATCH", "PUT", "GET", "HEAD", "DELETE", "PATCH|PUT"])

upload_faults = st.one_of(
    st.builds(lambda code, method, n: faults.status(code, method=method, times=n), codes, uploads, times),
    st.builds(lambda after, n: faults.drop_upload(after=after, times=n), offsets, times),
    st.builds(lambda method, n: faults.hang_up(method=method, times=n), uploads, times),
    st.builds(lambda code, n: faults.fail_after_doing(code, method="PUT", times=n), codes, times),
    st.builds(lambda code, n: faults.fail_after_doing(code, method="PATCH", times=n), codes, times),
    st.builds(lambda n: faults.forget_uploads(times=n), times),
    st.builds(lambda offset, n: faults.lie_about_offset(offset, times=n), offsets, times),
    st.builds(faults.refuse_lengthless),
    st.builds(faults.refuse_bodies_over, st.sampled_from([100, 1_000_000, 9_000_000])),
    st.builds(faults.Tokens),
)
download_faults = st.one_of(
    st.builds(lambda code, n: faults.status(code, method="GET", times=n), codes, times),
    st.builds(lambda after, n: faults.drop_download(after=after, times=n), offsets, times),
    st.builds(lambda n: faults.hang_up(method="GET", times=n), times),
    st.builds(
        lambda data: faults.send(data, path="/blobs/", times=1), st.sampled_from([b"", SMALL, LARGE[::-1]])
    ),
    st.builds(faults.Tokens),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([push, stream]), st.sampled_from([SMALL, LARGE]), st.lists(upload_faults, max_size=4))
def test_uploads(send, data, wrong):
    with FaultyRegistry() as registry:
        registry.add(*wrong)
        try:
            send(registry, data)
        except OCIError as error:
            assert str(error).isprintable()  # noqa: PT017 an error is one of two good ends
        else:
            assert stored(registry, data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([SMALL, LARGE]), st.booleans(), st.lists(download_faults, max_size=4))
def test_downloads(data, ignore_range, wrong):
    with FaultyRegistry() as registry:
        registry.ignore_range = ignore_range
        registry.add(*wrong)
        try:
            assert pull(registry, data) == data
        except OCIError as error:
            assert str(error).isprintable()  # noqa: PT017 an error is one of two good ends
