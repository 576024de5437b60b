"""triton.autotune while solve() is recorded: nothing can be measured, so the configuration is the
one that the request names, and which there are is written down (evaluator/triton/tuner.cc).

As with Triton's own tuner, a kernel is tuned for each value of its key; pruning and hooks of a
configuration run as they do there. What a tuner does only around a measurement (reset_to_zero,
restore_value, hooks of the tuner) has no part in a later call, nor here.
"""
from triton.runtime.autotuner import Autotuner

MOST_CONFIGURATIONS = 32


class Tuners:
    """The tuned kernels of a recording, in the order of their first launch."""

    def __init__(self, recording, choice):
        self.found = []  # {"kernel": name, "configurations": [text]}
        self._recording = recording
        self._choice = choice
        self._numbers = {}  # (tuner, key) -> index in `found`

    def pick(self, tuner, configurations, key):
        number = self._numbers.setdefault((id(tuner), key), len(self.found))
        if number == len(self.found):
            if len(configurations) > MOST_CONFIGURATIONS:
                self._recording.refuse(
                    "plan_limits", f"triton.autotune has {len(configurations)} configurations, at "
                    f"most {MOST_CONFIGURATIONS} are tried")
            self.found.append({"kernel": tuner.base_fn.__name__,
                               "configurations": [str(one) for one in configurations]})
        index = self._choice[number] if number < len(self._choice) else 0
        return configurations[min(index, len(configurations) - 1)]


def key_of(tuner, arguments):
    """What Triton tells launches apart by: values that the tuner names, types of tensors."""
    tensors = {name for name, value in arguments.items() if hasattr(value, "dtype")}
    named = [repr(arguments[name]) for name in tuner.keys if name in arguments.keys() - tensors]
    return tuple(named + [str(arguments[name].dtype) for name in arguments if name in tensors])


def install(tuners):
    def run(tuner, *positional, **keywords):
        tuner.nargs = dict(zip(tuner.arg_names, positional))
        configurations = tuner.configs
        if len(configurations) > 1:
            configurations = tuner.prune_configs(keywords)
        chosen = configurations[0]
        if len(configurations) > 1:
            arguments = {name: value for name, value in {**tuner.nargs, **keywords}.items()
                         if name in tuner.arg_names}
            chosen = tuners.pick(tuner, configurations, key_of(tuner, arguments))
        tuner.best_config = chosen
        if chosen.pre_hook is not None:
            chosen.pre_hook({**tuner.nargs, **keywords, **chosen.all_kwargs()})
        kernel = tuner.fn.run(*positional, **keywords, **chosen.all_kwargs())
        tuner.nargs = None
        return kernel

    Autotuner.run = run
