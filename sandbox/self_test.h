// The self-test that a trial run makes from inside, in place of a program.
#pragma once

namespace assay::sandbox {

/// Tries what must not be possible inside. 0, or the number of the first attempt that worked.
/// Async-signal-safe.
int self_test();

/// What that attempt was; "" for a number that is none.
const char* self_test_attempt(int number);

}  // namespace assay::sandbox
