"""Where the kernel does not count what is fetched: from made-up folders."""

import pytest

from pipeprof.profiles.host.file_systems import uncounted

MOUNTS = """\
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
21 20 0:40 / /mnt/my\\040bucket rw shared:7 - fuse.gcsfuse bucket rw
22 20 0:41 / /nfs rw - nfs4 server:/ rw
23 22 254:9 / /nfs/local rw - xfs /dev/vdb rw
24 20 0:42 / /twice rw - nfs server:/ rw
25 20 254:9 / /twice rw - xfs /dev/vdb rw
nonsense
"""


@pytest.fixture
def opened(tmp_path):
    """A made-up /proc with one process 42 that has files open, by path and the mode they were opened in."""

    def proc(*files):
        for name in ("fd", "fdinfo"):
            (tmp_path / "42" / name).mkdir(parents=True)
        (tmp_path / "42" / "mountinfo").write_text(MOUNTS)
        for number, (path, flags) in enumerate(files):
            (tmp_path / "42" / "fd" / str(number)).symlink_to(path)
            (tmp_path / "42" / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t{flags}\nmnt_id:\t30\n")
        return tmp_path

    return proc


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data/a.tfrecord", set()),
        ("/mnt/my bucket/a.tfrecord", {"fuse.gcsfuse"}),
        ("/mnt/my bucketful", set()),
        ("/nfs/a", {"nfs4"}),
        ("/nfs/local/a", set()),
        ("/twice/a", set()),
        ("pipe:[1234]", set()),
    ],
)
def test_file_systems_of_userspace_and_of_networks_do_not_count(opened, path, found):
    assert uncounted(42, opened((path, "0100000"))) == found


def test_files_that_are_written_say_nothing_about_what_is_read(opened):
    assert uncounted(42, opened(("/nfs/log", "0102001"), ("/nfs/both", "0100002"))) == set()


def test_a_process_that_is_gone_has_no_files(tmp_path):
    assert uncounted(42, tmp_path) == set()
