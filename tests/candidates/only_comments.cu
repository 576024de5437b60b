// task: vector-add
// expect: compile_error
// reason: no_solve
// A file of comments is not empty, but it has no solve.

