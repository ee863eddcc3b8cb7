# SPDX-License-Identifier: MIT OR Apache-2.0
"""How pytest-xdist hands out the tests to its processes: few at a time, the longest first, so that
all of them end together."""
from xdist.scheduler import LoadScheduling

AT_ONCE = 2  # one to run, and the next, which a process must know


class FewAtATime(LoadScheduling):
    """LoadScheduling begins with large portions; one with many slow tests would be the last."""

    def _send_tests(self, node, num):
        super()._send_tests(node, min(num, AT_ONCE - len(self.node2pending[node])))
