#include <gtest/gtest.h>
#include <zlib.h>

#include "server/http/gzip.h"
#include "server/http/target.h"

namespace assay {
namespace {

std::string gzip(const std::string& plain) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST(GzipTest, UnpacksWithinALimit) {
  const std::string plain(100'000, 'x');
  const std::string packed = gzip(plain);
  EXPECT_EQ(*gunzip(packed, 100'000), plain);
  EXPECT_FALSE(gunzip(packed, 99'999).ok());  // a bomb of a hundred bytes
  EXPECT_FALSE(gunzip(packed.substr(0, packed.size() / 2), 1 << 20).ok());
  EXPECT_FALSE(gunzip("not gzip at all", 1 << 20).ok());
  EXPECT_FALSE(gunzip("", 1 << 20).ok());
}

TEST(TargetTest, ReadsPathAndQuery) {
  ServerRequest request;
  ASSERT_TRUE(parse_target("/v1/tasks/a%20b?wait=1&x=a+b&flag", request));
  EXPECT_EQ(request.path, "/v1/tasks/a b");
  EXPECT_EQ(request.parameter("wait"), "1");
  EXPECT_EQ(request.parameter("x"), "a b");
  EXPECT_EQ(request.parameter("nothing"), "");
  ASSERT_TRUE(parse_target("http://host/p?q=1", request));
  EXPECT_EQ(request.path, "/p");
}

TEST(TargetTest, RefusesBrokenOnes) {
  ServerRequest request;
  for (const char* target : {"", "x", "*", "/%", "/%4", "/%zz", "/%00", "/a?b=%f"})
    EXPECT_FALSE(parse_target(target, request)) << target;
}

}  // namespace
}  // namespace assay
