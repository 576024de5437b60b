// Fuzzes what model servers send: event streams and bodies of every API, and error answers.
// The first byte picks the API and how the bytes are cut.
#include <algorithm>
#include <string_view>

#include "agents/model/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto& protocols = assay::protocols();
  const assay::Protocol& protocol = *protocols[data[0] % protocols.size()];
  const size_t portion = 1 + data[0] / protocols.size();
  assay::StreamReader reader(protocol);
  for (size_t at = 0; at < text.size(); at += portion)
    if (!reader.feed(text.substr(at, portion))) break;
  const assay::Decoding streamed = reader.finish();
  // Either whole, or with a reason why not.
  if (!streamed.complete && !streamed.failure) __builtin_trap();
  const assay::Decoding whole = assay::read_body(protocol, text);
  if (!whole.complete && !whole.failure) __builtin_trap();
  assay::HttpResponse response;
  response.status = 429;
  response.body = text;
  response.headers["retry-after"] = text.substr(0, 40);
  const assay::ApiFailure failure = assay::classify_response(response, 1e9);
  if (failure.wait_seconds && !(*failure.wait_seconds >= 0)) __builtin_trap();
  return 0;
}
