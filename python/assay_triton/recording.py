"""Recording: the launch plan in the making, with the fake addresses that the candidate sees."""

# Allocations start at a multiple of this, as CUDA promises, and never touch each other.
ALIGNMENT = 256
GUARD_BYTES = 1 << 20


class Refused(BaseException):
    """Ends a recording. No Exception, so that `except Exception` in a candidate lets it pass."""

    def __init__(self, reason, explanation, line=0):
        super().__init__(explanation)
        self.reason = reason
        self.explanation = explanation
        self.line = line  # of the candidate's file; 0: unknown


class Recording:
    """Allocations and operations in the order of the candidate's calls, all on one stream."""

    def __init__(self, base, most_operations=10_000, most_allocations=4_096):
        self.allocations = []
        self.operations = []
        self.refusal = None  # the first one; stays even where the candidate caught it
        self._starts = []
        self._next = -(-base // ALIGNMENT) * ALIGNMENT
        self._most_operations = most_operations
        self._most_allocations = most_allocations

    def refuse(self, reason, explanation):
        refusal = Refused(reason, explanation)
        if self.refusal is None:
            self.refusal = refusal
        raise refusal

    def add_argument(self, index, size_bytes):
        """The address of the task's tensor number `index`."""
        return self._place({"kind": "argument", "index": index, "bytes": size_bytes})

    def add_scratch(self, size_bytes):
        """The address of memory that the candidate allocates."""
        return self._place({"kind": "scratch", "bytes": max(size_bytes, 1)})

    def locate(self, address):
        """The place in an allocation (one past its end included), or None."""
        for number, start in enumerate(self._starts):
            if start <= address <= start + self.allocations[number]["bytes"]:
                return {"allocation": number, "offset": address - start}
        return None

    def add_operation(self, action):
        """`action`: {"launch": ...}, {"memset": ...} or {"element_copy": ...}; waits for the
        operation before it."""
        if len(self.operations) >= self._most_operations:
            self.refuse("plan_limits", f"more than {self._most_operations} operations")
        previous = len(self.operations) - 1
        depends_on = [previous] if previous >= 0 else []
        self.operations.append({**action, "depends_on": depends_on, "stream": 0})

    def plan(self):
        return {"format": "assay-launch-plan", "version": 1,
                "allocations": self.allocations, "operations": self.operations}

    def _place(self, allocation):
        if len(self.allocations) >= self._most_allocations:
            self.refuse("plan_limits", f"more than {self._most_allocations} allocations")
        address = self._next
        self.allocations.append(allocation)
        self._starts.append(address)
        end = address + allocation["bytes"] + GUARD_BYTES
        self._next = -(-end // ALIGNMENT) * ALIGNMENT
        return address
