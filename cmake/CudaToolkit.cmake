# CUDA 13's nvcc and headers: ASSAY_NVCC (followed to the program itself) and ASSAY_CUDA_INCLUDE.
# Looked for where the environment's ASSAY_CUDA_HOME says, then on PATH, then in the usual place;
# ./assay sets ASSAY_CUDA_HOME to the toolkit that it found or fetched. The CUDA driver is no matter
# of the build.
find_program(ASSAY_NVCC_FOUND nvcc HINTS $ENV{ASSAY_CUDA_HOME}/bin PATHS /usr/local/cuda/bin)
if(NOT ASSAY_NVCC_FOUND)
  message(FATAL_ERROR "nvcc of CUDA 13 was not found. Set ASSAY_CUDA_HOME to a toolkit, or build "
    "with ./assay, which brings one.")
endif()
file(REAL_PATH ${ASSAY_NVCC_FOUND} ASSAY_NVCC)
cmake_path(GET ASSAY_NVCC PARENT_PATH cuda_bin)
find_path(ASSAY_CUDA_INCLUDE cuda.h
  HINTS ${cuda_bin}/../include ${cuda_bin}/../targets/x86_64-linux/include REQUIRED)
