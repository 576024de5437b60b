"""Records small Triton candidates without a GPU and looks at what the recorder left."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "python"
DEVICE = {"arch": "sm_80", "shared_bytes": 166_912, "multiprocessors": 108}
BASE = 1 << 44
CANDIDATES = Path(__file__).resolve().parent / "candidates"
ADD = (CANDIDATES / "vector_add.py").read_text()
SOFTMAX = (CANDIDATES / "softmax.py").read_text()
RMSNORM = (CANDIDATES / "rmsnorm.py").read_text()
TRITON_HOME = os.environ.get("ASSAY_TRITON_HOME")
SKIPPED = 77


def tensor(*shape, dtype="f32"):
    return {"tensor": {"dtype": dtype, "shape": list(shape)}}


def scalar(value):
    return {"scalar": value}


def record(source, *arguments, base=BASE, arch=DEVICE["arch"], more_bases=(), choice=(),
           timeout=120):
    """The files that the recorder left, without the number of the first recording."""
    with tempfile.TemporaryDirectory() as folder:
        request = {"arguments": list(arguments), "device": {**DEVICE, "arch": arch},
                   "choice": list(choice), "bases": [base, *more_bases]}
        Path(folder, "request.json").write_text(json.dumps(request))
        Path(folder, "candidate.py").write_text(source)
        environment = {"PYTHONPATH": str(SOURCES), "TRITON_CACHE_DIR": f"{folder}/cache",
                       "HOME": folder, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run([f"{TRITON_HOME}/bin/python", "-m", "assay_triton.record"], cwd=folder,
                             env=environment, capture_output=True, text=True, timeout=timeout)
        if run.returncode != 0:
            raise AssertionError(f"status {run.returncode}: {run.stderr}".replace("\n", " "))
        return {path.name.removeprefix("0."): path.read_text(errors="replace")
                for path in Path(folder).iterdir() if path.is_file()}


def launches(files):
    return [operation["launch"] for operation in json.loads(files["plan.json"])["operations"]]


def tuned_add(configurations, more=""):
    """ADD with these configurations of BLOCK."""
    source = ADD.replace("@triton.jit",
                         f"@triton.autotune([{configurations}], key=['n']{more})\n@triton.jit")
    return source.replace(", BLOCK=256", "")


class Records(unittest.TestCase):
    def recorded(self, *arguments, **keywords):
        files = record(*arguments, **keywords)
        self.assertNotIn("failure", files, files.get("failure"))
        return files

    def refused(self, source, *arguments):
        files = record(source, *arguments)
        self.assertIn("failure", files)
        self.assertNotIn("plan.json", files)
        return files["failure"].split("\n", 1)

    def test_vector_add_with_grid_lambda(self):
        files = self.recorded(ADD, *[tensor(1000)] * 3, scalar(1000))
        [launch] = launches(files)
        self.assertEqual((launch["kernel"], launch["grid"], launch["block"]),
                         ("add", [4, 1, 1], [128, 1, 1]))
        parameters = bytes.fromhex(launch["parameters"])
        # Three pointers, n, four bytes of padding, two hidden pointers that are null.
        self.assertEqual(parameters, bytes(24) + struct.pack("<i", 1000) + bytes(4 + 16))
        self.assertEqual([r["target"]["allocation"] for r in launch["relocations"]], [0, 1, 2])
        self.assertIn(".target sm_80", files["module.ptx"])

    def test_an_architecture_with_a_letter(self):
        files = self.recorded(ADD, *[tensor(1000)] * 3, scalar(1000), arch="sm_90a")
        self.assertIn(".target sm_90a", files["module.ptx"])

    def test_trouble_before_the_candidate_is_told_apart(self):
        with self.assertRaisesRegex(AssertionError, "status 1:.*invalid literal"):
            record(ADD, arch="nonsense")

    def test_softmax_with_chosen_warps_and_shared_memory(self):
        [launch] = launches(self.recorded(SOFTMAX, *[tensor(3, 1000)] * 2))
        self.assertEqual((launch["grid"], launch["block"]), ([3, 1, 1], [256, 1, 1]))
        self.assertGreater(launch["dynamic_shared_bytes"], 0)

    def test_rmsnorm_with_a_helper_and_a_float_scalar(self):
        half = tensor(5, 640, dtype="f16")
        files = self.recorded(RMSNORM, half, tensor(640, dtype="f16"), half, scalar(1e-5))
        [launch] = launches(files)
        eps = bytes.fromhex(launch["parameters"])[28:32]
        self.assertEqual(eps, struct.pack("<f", 1e-5))

    def test_notes_which_parameters_are_assumed_divisible_by_16(self):
        def assumed(n):
            files = self.recorded(ADD, *[tensor(2048)] * 3, scalar(n))
            return json.loads(files["kernels.json"])["kernels"][0]["divisible_by_16"]
        self.assertEqual(assumed(1024), [0, 1, 2, 3])
        self.assertEqual(assumed(1023), [0, 1, 2])

    def test_folds_a_one_into_the_code(self):
        files = self.recorded(ADD, *[tensor(16)] * 3, scalar(1))
        parameters = json.loads(files["kernels.json"])["kernels"][0]["parameters"]
        self.assertEqual([p["bytes"] for p in parameters], [8] * 5)

    def test_gives_specialisations_of_one_kernel_different_names(self):
        source = ADD + "    add[(1,)](x, y, out, n - 1, BLOCK=256)\n"
        files = self.recorded(source, *[tensor(1024)] * 3, scalar(1024))
        self.assertEqual([l["kernel"] for l in launches(files)], ["add", "add$2"])
        self.assertEqual([files["module.ptx"].count(f".entry {name}(") for name in ("add", "add$2")],
                         [1, 1])
        self.assertEqual(files["module.ptx"].count(".version"), 1)

    def test_plan_does_not_depend_on_addresses(self):
        plans = [self.recorded(ADD, *[tensor(99)] * 3, scalar(99), base=base)["plan.json"]
                 for base in (BASE, 3 * BASE // 2)]
        self.assertEqual(*plans)

    def test_number_made_of_an_address_differs_between_bases(self):
        source = ADD.replace("out, n, BLOCK=256", "out, x.data_ptr() // 256, BLOCK=256")
        plans = [self.recorded(source, *[tensor(99)] * 3, scalar(99), base=base)["plan.json"]
                 for base in (BASE, 3 * BASE // 2)]
        self.assertNotEqual(*plans)

    def test_scratch_and_memset_come_in_order(self):
        source = "import torch\n" + ADD.replace("    add[lambda", "    y = torch.full((n,), 1.0)\n    add[lambda")
        plan = json.loads(self.recorded(source, *[tensor(64)] * 3, scalar(64))["plan.json"])
        memset, launch = plan["operations"]
        self.assertEqual(memset["memset"], {"target": {"allocation": 3, "offset": 0},
                                            "value": 0x3F800000, "element_bytes": 4,
                                            "width_bytes": 256})
        self.assertEqual(launch["depends_on"], [0])
        self.assertEqual(launch["launch"]["relocations"][1]["target"]["allocation"], 3)

    def test_views_defaults_and_several_kernels(self):
        source = """import torch, triton
import triton.language as tl

@triton.jit
def first(x, out, stride, BLOCK: tl.constexpr = 64):
    tl.store(out, tl.load(x + stride))

@triton.jit
def second(x, out):
    tl.store(out, tl.load(x))

def solve(x, out):
    y = torch.zeros_like(x)
    first[(len(x),)](x=x.view(-1), out=y, stride=x.transpose(0, 1).stride(1))
    second[1,](y.reshape(2, 10), out)
"""
        plan = json.loads(self.recorded(source, tensor(4, 5), tensor(1))["plan.json"])
        memset, first, second = plan["operations"]
        self.assertEqual(memset["memset"]["width_bytes"], 80)
        self.assertEqual((first["launch"]["kernel"], first["launch"]["grid"]), ("first", [4, 1, 1]))
        self.assertEqual(bytes.fromhex(first["launch"]["parameters"])[16:20], struct.pack("<i", 5))
        self.assertEqual(second["launch"]["kernel"], "second")
        self.assertEqual([r["target"]["allocation"] for r in second["launch"]["relocations"]],
                         [2, 1])
        self.assertEqual([o["depends_on"] for o in plan["operations"]], [[], [0], [1]])

    def operations_of(self, body, *arguments):
        """The plan's operations before the launch of a kernel; `body` has x, and y afterwards."""
        source = "import torch\n" + ADD.replace("def solve(x, y, out, n)", "def solve(x)")
        source = source[:source.index("    add[lambda")] + body + "\n    add[1,](y, y, y, 9, BLOCK=16)\n"
        return json.loads(self.recorded(source, *arguments)["plan.json"])["operations"][:-1]

    def test_copies_are_element_copies(self):
        [operation] = self.operations_of("    y = x.transpose(0, 2).contiguous()", tensor(2, 3, 4))
        self.assertEqual(operation["element_copy"],
                         {"shape": [4, 3, 2],
                          "target": {"allocation": 1, "offset": 0}, "target_dtype": "f32",
                          "target_strides": [6, 2, 1],
                          "source": {"allocation": 0, "offset": 0}, "source_dtype": "f32",
                          "source_strides": [1, 4, 12]})

    def test_conversions_and_clones_keep_the_order_of_the_axes(self):
        operations = self.operations_of("""    y = x.t().to(torch.float16)
    y = x.t().clone()
    y = torch.empty_like(x.t(), dtype=torch.int64).copy_(x.t())""", tensor(3, 5))
        copies = [operation["element_copy"] for operation in operations]
        self.assertEqual([copy["target_dtype"] for copy in copies], ["f16", "f32", "i64"])
        for copy in copies:
            self.assertEqual((copy["shape"], copy["target_strides"]), ([5, 3], [1, 5]))

    def test_copies_where_torch_makes_none_are_none(self):
        results = ["x.contiguous()", "x.to(torch.float32)", "x.to('cuda')", "x.cuda()", "x.float()",
                   "x.copy_(x)", "x[:, 1:1].clone()", "x.to(x)", "x.reshape(5, 2, 3).transpose(0, 1)",
                   "x[None].contiguous()", "x.flatten()", "x[3].contiguous()",
                   "x[:, :1].expand(-1, 4)"]
        body = "".join(f"    y = {result}\n" for result in results)
        self.assertEqual(self.operations_of(body, tensor(5, 6)), [])

    def test_a_copy_to_a_slice_steps_through_both_views(self):
        operations = self.operations_of("    y = torch.empty(4, 6)\n    y[1::2, ..., -1] = x[2]",
                                        tensor(3, 2, dtype="i8"))
        copy = operations[0]["element_copy"]
        self.assertEqual((copy["target"]["offset"], copy["target_strides"]), (4 * 11, [12]))
        self.assertEqual((copy["source"]["offset"], copy["source_strides"]), (4, [1]))
        self.assertEqual(len(operations), 1)

    def test_a_smaller_source_is_repeated(self):
        [operation] = self.operations_of("    y = torch.empty(4, 6, 5).copy_(x)", tensor(6, 1))
        self.assertEqual(operation["element_copy"]["source_strides"], [0, 1, 0])

    def test_views_are_torchs(self):
        views = {"x.view(-1, 6)": ((4, 6), (6, 1)),
                 "x.transpose(0, 1).view(3, 2, 2, 2)": ((3, 2, 2, 2), (4, 12, 2, 1)),
                 "x.transpose(1, 2).flatten(0, 0)": ((2, 4, 3), (12, 1, 4)),
                 "x.unsqueeze(-1)": ((2, 3, 4, 1), (12, 4, 1, 1)),
                 "x[:, :1].squeeze()": ((2, 4), (12, 1)),
                 "x[1, ..., 1:4:2]": ((3, 2), (4, 2)),
                 "x.permute(2, 0, 1)": ((4, 2, 3), (1, 12, 4)),
                 "x.mT[0].t()": ((3, 4), (4, 1)),
                 "x.T": ((4, 3, 2), (1, 4, 12)),
                 "list(x)[1]": ((3, 4), (4, 1))}
        source = "def solve(x):\n  views = [" + ", ".join(views) + "]\n"
        source += "  raise ValueError([(view.shape, view.stride()) for view in views])\n"
        self.assertIn(str(list(views.values())), self.refused(source, tensor(2, 3, 4))[1])
        source = "def solve(x):\n  x.transpose(0, 1).view(6, 4)\n"
        self.assertIn("has no view of shape [6, 4]", self.refused(source, tensor(2, 3, 4))[1])

    def test_computing_torch_call_is_named(self):
        for call, name in [("torch.matmul(x, y)", "torch.matmul"), ("x @ y", "Tensor.__matmul__"),
                           ("x.softmax(0)", "Tensor.softmax"), ("x[y]", "indexing by Tensor"),
                           ("torch.nn.functional.softmax(x)", "torch.nn.functional.softmax")]:
            reason, sentence = self.refused(f"import torch\ndef solve(x, y):\n  {call}\n",
                                            *[tensor(4, 4)] * 2)
            self.assertEqual(reason, "torch_call")
            self.assertIn(f"candidate.py:3: {name} is not available", sentence)

    def test_both_recordings_have_each_kernel_from_one_compilation(self):
        source = "import triton\n" + ADD.replace("def solve", """def note(**compiled):
    with open("compilations", "a") as notes:
        notes.write("from the cache " if compiled["cache_hit"] else "compiled ")

triton.knobs.compilation.listener = note

def solve""")
        files = self.recorded(source, *[tensor(16)] * 3, scalar(16), more_bases=[2 * BASE])
        self.assertEqual(sorted(files["compilations"].split()), ["cache", "compiled", "from", "the"])
        self.assertEqual(files["plan.json"], files["1.plan.json"])
        self.assertEqual(files["module.ptx"], files["1.module.ptx"])

    def test_a_recording_that_ends_while_it_compiles_does_not_stop_the_other(self):
        source = "import os, triton\n" + ADD.replace("def solve", """def end(**compiled):
    os._exit(0)

triton.knobs.compilation.listener = end

def solve""")
        files = record(source, *[tensor(16)] * 3, scalar(16), more_bases=[2 * BASE], timeout=60)
        self.assertEqual([files[name].split("\n")[0] for name in ("failure", "1.failure")],
                         ["exit", "exit"])

    def test_refusal_stays_though_the_candidate_catches_it(self):
        source = "import torch\n" + ADD + "    try:\n        torch.sum(x)\n    except BaseException:\n        pass\n"
        reason, _ = self.refused(source, *[tensor(16)] * 3, scalar(16))
        self.assertEqual(reason, "torch_call")

    def test_reading_device_memory_is_refused(self):
        reason, _ = self.refused("def solve(x):\n  x.item()\n", tensor(1))
        self.assertEqual(reason, "host_read_back")

    def test_compile_error_names_the_candidates_line(self):
        source = ADD.replace("mask = i < n", "mask = i < m")
        line = 1 + source[:source.index("mask = i < m")].count("\n")
        reason, sentence = self.refused(source, *[tensor(16)] * 3, scalar(16))
        self.assertEqual(reason, "compile_error")
        self.assertTrue(sentence.startswith(f"candidate.py:{line}: "), sentence)
        self.assertIn("m is not defined", sentence)

    def test_python_error_names_the_candidates_line(self):
        self.assertEqual(self.refused("def solve(x):\n\n  return 1 // 0\n", tensor(1)),
                         ["exception", "candidate.py:3: ZeroDivisionError: integer division or "
                          "modulo by zero"])

    def test_candidate_without_solve_and_without_launch(self):
        self.assertEqual(self.refused("import torch\n", tensor(1))[0], "no_solve")
        self.assertEqual(self.refused("def solve(x):\n  pass\n", tensor(1))[0], "no_operations")

    def test_fills(self):
        source = (ADD.split("def solve")[0] + "import torch\n\n\ndef solve(x, y, out, n):\n"
                  "    out.fill_(1.5)\n    out.view(10, 100).t().zero_()\n    out[::2] = 2\n"
                  "    add[(1,)](x, y, out, n, BLOCK=1024)\n")
        operations = json.loads(self.recorded(source, *[tensor(1000)] * 3, scalar(1000))["plan.json"])
        sets = [one["memset"] for one in operations["operations"] if "memset" in one]
        self.assertEqual([(one["value"], one["element_bytes"], one["width_bytes"]) for one in sets],
                         [(0x3fc00000, 4, 4000), (0, 1, 4000), (0x40000000, 4, 4)])
        [copy] = [one["element_copy"] for one in operations["operations"] if "element_copy" in one]
        self.assertEqual((copy["shape"], copy["target_strides"], copy["source_strides"]),
                         ([500], [2], [0]))
        reason, sentence = self.refused(source.replace("1.5", "x"), *[tensor(1000)] * 3, scalar(1000))
        self.assertEqual(reason, "torch_call")
        self.assertIn("fill_", sentence)

    def test_autotune_takes_the_configuration_that_it_is_told(self):
        source = tuned_add("triton.Config({'BLOCK': 128}), triton.Config({'BLOCK': 256}, num_warps=8)")
        for choice, grid, threads in [((), 8, 128), ((0,), 8, 128), ((1,), 4, 256), ((9,), 4, 256)]:
            files = self.recorded(source, *[tensor(1000)] * 3, scalar(1000), choice=choice)
            [launch] = launches(files)
            self.assertEqual((launch["grid"][0], launch["block"][0]), (grid, threads))
            [tuner] = json.loads(files["tuners.json"])
            self.assertEqual(tuner["kernel"], "add")
            self.assertIn("BLOCK: 256, num_warps: 8", tuner["configurations"][1])

    def test_autotune_tells_keys_apart(self):
        source = tuned_add("triton.Config({'BLOCK': 128}), triton.Config({'BLOCK': 256})")
        source += source[source.index("    add["):].replace("cdiv(n", "cdiv(5").replace(
            "out, n", "out, 5")
        source += source[source.index("    add["):]  # the keys of the two calls before again
        files = self.recorded(source, *[tensor(1000)] * 3, scalar(1000), choice=(0, 1))
        self.assertEqual(len(json.loads(files["tuners.json"])), 2)
        self.assertEqual([launch["grid"][0] for launch in launches(files)], [8, 1, 8, 1])

    def test_autotune_prunes_and_calls_the_hooks_of_a_configuration(self):
        source = tuned_add("triton.Config({'BLOCK': 64}), triton.Config({'BLOCK': 128}), "
                           "triton.Config({'BLOCK': 256}, pre_hook=lambda given: given['out'].zero_())",
                           ", prune_configs_by={'early_config_prune': lambda configs, given, **more: "
                           "[one for one in configs if one.kwargs['BLOCK'] > 64]}")
        files = self.recorded(source, *[tensor(1000)] * 3, scalar(1000), choice=(1,))
        self.assertEqual(len(json.loads(files["tuners.json"])[0]["configurations"]), 2)
        operations = json.loads(files["plan.json"])["operations"]
        self.assertEqual(["memset" in one for one in operations], [True, False])

    def test_autotune_has_a_most(self):
        source = tuned_add(", ".join(["triton.Config({'BLOCK': 128})"] * 33))
        reason, sentence = self.refused(source, *[tensor(16)] * 3, scalar(16))
        self.assertEqual(reason, "plan_limits")
        self.assertIn("at most 32", sentence)

    def test_configurations_are_told_of_a_recording_that_fails(self):
        source = tuned_add("triton.Config({'BLOCK': 100}), triton.Config({'BLOCK': 128})")
        files = record(source, *[tensor(16)] * 3, scalar(16))
        self.assertEqual(files["failure"].split("\n")[0], "compile_error")
        self.assertEqual(len(json.loads(files["tuners.json"])[0]["configurations"]), 2)


if __name__ == "__main__":
    if not TRITON_HOME:
        print("skipped: ASSAY_TRITON_HOME is not set; ./assay test installs Triton and sets it")
        sys.exit(SKIPPED)
    unittest.main()
