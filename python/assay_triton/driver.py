"""RecordingDriver: stands where Triton expects the driver of a GPU.

Triton itself binds arguments, specialises and compiles; only loading a kernel and launching it end
here, as an image and as an operation of the recording.
"""
import math

from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase

from assay_triton.parameters import Parameters

MAX_THREADS = 1024  # of a block; the judge checks again with the registers that ptxas reports


class Image:
    """One compiled specialisation of a kernel."""

    def __init__(self, label, symbol, ptx):
        self.label = label  # the plan's name for it: the symbol, with "$2" ... for further ones
        self.symbol = symbol
        self.ptx = ptx
        self.layout = []
        self.divisible_by_16 = []  # numbers of the parameters that the code assumes it of


class Launcher:
    """Made by Triton for every compiled kernel, called for every launch."""

    def __init__(self, recording, source, metadata):
        self._recording = recording
        self._kinds = list(source.signature.values())
        self._divisible = [place for place, attributes in source.attrs.items()
                           if ["tt.divisibility", 16] in attributes]
        self._metadata = metadata

    def __call__(self, grid_x, grid_y, grid_z, stream, image, packed_metadata, launch_metadata,
                 enter_hook, exit_hook, *arguments):
        blocks = grid_x * grid_y * grid_z
        if blocks == 0:
            return
        metadata = self._metadata
        parameters = Parameters(self._recording, getattr(metadata, "tensordesc_meta", None) or [])
        for number, (kind, value) in enumerate(zip(self._kinds, arguments)):
            parameters.add(kind, value, (number,))
        cluster = getattr(metadata, "cluster_dims", (metadata.num_ctas, 1, 1))  # up to 3.5
        for scratch in ("global_scratch_size", "profile_scratch_size"):
            if hasattr(metadata, scratch):  # the latter since 3.5
                total = blocks * math.prod(cluster) * getattr(metadata, scratch)
                parameters.add_pointer(self._recording.add_scratch(total) if total else 0)
        image.layout = parameters.layout
        image.divisible_by_16 = sorted(parameters.numbers[place] for place in self._divisible
                                       if place in parameters.numbers)
        launch = {"kernel": image.label,
                  "grid": [grid_x * cluster[0], grid_y * cluster[1], grid_z * cluster[2]],
                  "block": [32 * metadata.num_warps, 1, 1],
                  "dynamic_shared_bytes": metadata.shared,
                  "parameters": bytes(parameters.data).hex(),
                  "relocations": parameters.relocations}
        if parameters.tensor_maps:
            launch["tensor_maps"] = parameters.tensor_maps
        if metadata.num_ctas > 1:
            launch["cluster"] = list(cluster)
        if metadata.launch_cooperative_grid:
            launch["cooperative"] = True
        if metadata.launch_pdl:
            launch["programmatic"] = True
        self._recording.add_operation({"launch": launch})


class Utilities:
    """What Triton asks a driver about devices and binaries."""

    def __init__(self, images, device):
        self._images = images
        self._device = device

    def get_device_properties(self, device):
        return {"max_shared_mem": self._device["shared_bytes"],
                "multiprocessor_count": self._device["multiprocessors"], "warpSize": 32}

    def load_binary(self, symbol, binary, shared_bytes, device):
        """Module, function, registers, spills and the most threads: Triton's order. The binary is
        PTX (compiler.py); registers and spills are ptxas's to say, so both are 0 here."""
        count = sum(image.symbol == symbol for image in self._images)
        image = Image(symbol if count == 0 else f"{symbol}${count + 1}", symbol,
                      binary.decode())
        self._images.append(image)
        return image, image, 0, 0, MAX_THREADS


class RecordingDriver(DriverBase):
    """`device`: {"arch": "sm_80", "shared_bytes", "multiprocessors"}, the one recorded for."""

    def __init__(self, recording, device):
        super().__init__()
        self.images = []
        self.utils = Utilities(self.images, device)
        self.launcher_cls = lambda source, metadata: Launcher(recording, source, metadata)
        self._recording = recording
        # Triton itself adds the letter of "sm_90a" where it compiles.
        self._capability = int(device["arch"].removeprefix("sm_").rstrip("af"))

    @classmethod
    def is_active(cls):
        return False  # never chosen by Triton's own search

    def map_python_to_cpp_type(self, ty):
        self._recording.refuse("unsupported_call", "Triton's ahead-of-time tool is not recorded")

    def get_current_target(self):
        return GPUTarget("cuda", self._capability, 32)

    def get_active_torch_device(self):
        return "cuda:0"

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_device_interface(self):
        self.get_benchmarker()

    def get_benchmarker(self):
        self._recording.refuse("unsupported_call",
                               "triton.testing.do_bench measures on a GPU, and there is none while "
                               "solve() is recorded; triton.autotune may have several "
                               "configurations, which the judge times")
