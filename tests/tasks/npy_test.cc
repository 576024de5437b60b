#include "tasks/npy.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "task_text.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NpyTest : public testing::Test {
 protected:
  TemporaryFolder folder_ = *TemporaryFolder::create("npy");
};

TEST(NpyHeader, IsVersionOneAndPaddedTo64Bytes) {
  for (const auto& shape :
       std::vector<std::vector<uint64_t>>{{}, {3}, {3, 4}, {1ull << 40, 1, 2}}) {
    const std::string header = npy_header(Dtype::f32, shape);
    EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    EXPECT_EQ(header.size() % 64, 0u);
    const size_t length = static_cast<unsigned char>(header[8]) +
                          256 * static_cast<size_t>(static_cast<unsigned char>(header[9]));
    EXPECT_EQ(header.size(), 10 + length);
    EXPECT_EQ(header.back(), '\n');
  }
}

TEST(NpyHeader, ShapesArePythonTuples) {
  EXPECT_THAT(npy_header(Dtype::f64, {}), HasSubstr("'descr': '<f8'"));
  EXPECT_THAT(npy_header(Dtype::f64, {}), HasSubstr("'shape': (), }"));
  EXPECT_THAT(npy_header(Dtype::f64, {7}), HasSubstr("'shape': (7,), }"));
  EXPECT_THAT(npy_header(Dtype::f64, {7, 8}), HasSubstr("'shape': (7, 8), }"));
}

TEST(NpyHeader, TypesThatNumpyLacksAreRawIntegers) {
  EXPECT_EQ(npy_descr(Dtype::bf16), "<u2");
  EXPECT_EQ(npy_descr(Dtype::e4m3), "|u1");
  EXPECT_EQ(npy_descr(Dtype::e5m2), "|u1");
  EXPECT_EQ(npy_descr(Dtype::f16), "<f2");
  EXPECT_EQ(npy_descr(Dtype::boolean), "|b1");
}

TEST_F(NpyTest, FileIsHeaderThenElements) {
  const fs::path path = folder_.path() / "a.npy";
  const std::string bytes("\x01\x02\x03\x04\x05\x06", 6);
  ASSERT_TRUE(write_npy(path, Dtype::i16, {3}, bytes).ok());
  EXPECT_EQ(*read_file(path), npy_header(Dtype::i16, {3}) + bytes);
}

TEST_F(NpyTest, WrongSizesAndUnwritablePathsAreErrors) {
  EXPECT_EQ(write_npy(folder_.path() / "a.npy", Dtype::f32, {2}, "1234").error().kind,
            ErrorKind::internal);
  EXPECT_THAT(write_npy(folder_.path() / "no/a.npy", Dtype::u8, {1}, "1").error().message,
              HasSubstr("cannot write"));
}

TEST_F(NpyTest, NumpyReadsWhatWasWritten) {
  if (std::system("python3 -c 'import numpy' 2>/dev/null") != 0)
    GTEST_SKIP() << "NumPy is not installed";
  const float values[6] = {0, 1, 2, 3, 4, 5.5f};
  const fs::path path = folder_.path() / "a.npy";
  ASSERT_TRUE(write_npy(path, Dtype::f32, {2, 3},
                        std::string_view(reinterpret_cast<const char*>(values), 24))
                  .ok());
  const std::string command = "python3 -c 'import numpy; a = numpy.load(\"" + path.string() +
                              "\"); assert a.shape == (2, 3) and a[1, 2] == 5.5'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(NpyTest, ACaseIsWrittenWithItsManifest) {
  const Task task = *load_task(write_task(folder_.path() / "suite", kTaskText));
  const BoundCase bound = *bind(task, task.cases[0]);
  CaseBytes bytes;
  bytes.inputs["x"] = std::string(204, 'x');
  bytes.expected["y"] = std::string(12, 'y');
  const fs::path out = folder_.path() / "deep/out";
  ASSERT_TRUE(write_case(bound, bytes, 7, out).ok());
  EXPECT_TRUE(fs::exists(out / "x.input.npy"));
  EXPECT_TRUE(fs::exists(out / "y.expected.npy"));
  EXPECT_FALSE(fs::exists(out / "y.output.npy"));
  const auto manifest = nlohmann::json::parse(*read_file(out / "manifest.json"));
  EXPECT_EQ(manifest["task"], "row-sum");
  EXPECT_EQ(manifest["case"], "tiny");
  EXPECT_EQ(manifest["seed"], 7);
  EXPECT_EQ(manifest["tensors"][0]["files"]["input"], "x.input.npy");
  EXPECT_EQ(manifest["tensors"][0]["shape"], (std::vector<uint64_t>{3, 17}));
  EXPECT_FALSE(manifest["tensors"][0].contains("tolerance"));
  EXPECT_EQ(manifest["tensors"][1]["tolerance"]["rel_frobenius"], 1e-6);
  EXPECT_EQ(manifest["scalars"][0]["value"], 3);
  EXPECT_EQ(manifest["scalars"][1]["value"], static_cast<double>(0.1f));
}

TEST_F(NpyTest, EvidenceIsWrittenInAListOfItsOwn) {
  const Task task = *load_task(write_task(folder_.path() / "suite", evidence_task_text()));
  CaseBytes bytes;
  bytes.outputs["y"] = bytes.outputs["error"] = std::string(12, 'y');
  ASSERT_TRUE(write_case(*bind(task, task.cases[0]), bytes, std::nullopt, folder_.path()).ok());
  EXPECT_TRUE(fs::exists(folder_.path() / "error.output.npy"));
  const auto manifest = nlohmann::json::parse(*read_file(folder_.path() / "manifest.json"));
  EXPECT_EQ(manifest["evidence"][0]["files"]["output"], "error.output.npy");
  EXPECT_EQ(manifest["evidence"][0]["tolerance"]["atol"], 1e-6);
  EXPECT_FALSE(manifest["tensors"][1].contains("tolerance"));
}

TEST_F(NpyTest, TheSeedStaysSecretUnlessGiven) {
  const Task task = *load_task(write_task(folder_.path() / "suite", kTaskText));
  CaseBytes bytes;
  bytes.outputs["y"] = std::string(12, 'y');
  ASSERT_TRUE(write_case(*bind(task, task.cases[0]), bytes, std::nullopt, folder_.path()).ok());
  EXPECT_TRUE(fs::exists(folder_.path() / "y.output.npy"));
  EXPECT_FALSE(
      nlohmann::json::parse(*read_file(folder_.path() / "manifest.json")).contains("seed"));
}

}  // namespace
}  // namespace assay
