// Theory of operation.
//
// A task is data: a folder <suite>/<id> with task.toml and statement.md. Its life here has two
// steps. load_task() (load.cc) reads the text into a Task, in which shapes, scalars, fill
// parameters and work are still expressions over symbols; bind() (bind.cc) evaluates them for one
// case and returns a BoundCase, which is plain numbers and all that the evaluator ever sees.
// Loading binds every case once, so that a task which loads also binds: mistakes show when a task
// is written, not when it is run.
//
// Helpers, each with one concern: toml_reader reads one table and complains with line numbers,
// problems collects complaints so that one run reports them all, expression wraps muParser,
// fill_kinds knows the names, parameters and limits of input distributions, nearest finds what a
// misspelt word was meant to be. catalogue.cc finds the tasks of all suites; task_json.cc writes a
// BoundCase for the runner process.
//
// The inputs themselves come from fill.h: fill_element.h holds their arithmetic, compiled for the
// CPU and for GPUs from one source, philox.h the random bits, fill_math.h logarithm and friends
// with equal bits everywhere, element.h the conversion to every dtype. npy.h writes a case for
// people to look at, new_task.h the files of a new task.
//
// Task files are written by people who are trusted, but they come from anywhere: every count and
// size has a limit, and no text makes the loader crash or run for long.
#include "tasks/task.h"

#include <fmt/format.h>

namespace assay {

std::string Task::signature() const {
  std::string parameters;
  for (const TensorSpec& tensor : tensors)
    parameters += fmt::format("{}{}* {}, ", tensor.direction == Direction::in ? "const " : "",
                              cuda_type(tensor.dtype), tensor.name);
  for (const ScalarSpec& scalar : scalars)
    parameters += fmt::format("{} {}, ", cuda_type(scalar.dtype), scalar.name);
  return fmt::format("extern \"C\" void solve({}cudaStream_t stream)", parameters);
}

}  // namespace assay
