// task: vector-add
// expect: compile_error
// reason: syntax
// An apology instead of a kernel.
I am sorry, but I cannot write this kernel without knowing the size of the tensors.
