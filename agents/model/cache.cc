#include "agents/model/cache.h"

#include "agents/http/json.h"
#include "base/digest.h"
#include "base/files.h"

namespace assay {

namespace {

void put_count(nlohmann::json& json, const char* key, const std::optional<int64_t>& count) {
  if (count) json[key] = *count;
}

}  // namespace

std::string ResponseCache::key(const std::string& protocol, const std::string& url,
                               const std::string& body, const std::string& identity) {
  return Digest().add("answer-1").add(protocol).add(url).add(body).add(identity).hex();
}

std::filesystem::path ResponseCache::path(const std::string& key) const {
  return folder_ / key.substr(0, 2) / (key + ".json");
}

std::optional<CachedAnswer> ResponseCache::find(const std::string& key) const {
  const auto text = read_file(path(key), size_t{64} << 20);
  if (!text.ok()) return std::nullopt;
  const auto json = parse_json(*text);
  if (!json.ok() || !json_at(*json, {"text"})) return std::nullopt;
  CachedAnswer cached;
  cached.answer.text = string_at(*json, {"text"});
  cached.answer.reasoning = string_at(*json, {"reasoning"});
  cached.answer.finish = Finish::stop;
  cached.answer.finish_raw = string_at(*json, {"finish"});
  cached.usage.input_uncached = count_at(*json, {"input_uncached"});
  cached.usage.input_cache_read = count_at(*json, {"input_cache_read"});
  cached.usage.input_cache_write = count_at(*json, {"input_cache_write"});
  cached.usage.output_visible = count_at(*json, {"output_visible"});
  cached.usage.output_reasoning = count_at(*json, {"output_reasoning"});
  cached.usage.raw_json = string_at(*json, {"raw_usage"});
  cached.served_model = string_at(*json, {"served_model"});
  cached.fingerprint = string_at(*json, {"fingerprint"});
  cached.response_id = string_at(*json, {"response_id"});
  return cached;
}

void ResponseCache::put(const std::string& key, const CachedAnswer& cached) {
  if (cached.answer.finish != Finish::stop) return;
  nlohmann::json json = {
      {"text", cached.answer.text},          {"reasoning", cached.answer.reasoning},
      {"finish", cached.answer.finish_raw},  {"raw_usage", cached.usage.raw_json},
      {"served_model", cached.served_model}, {"fingerprint", cached.fingerprint},
      {"response_id", cached.response_id}};
  put_count(json, "input_uncached", cached.usage.input_uncached);
  put_count(json, "input_cache_read", cached.usage.input_cache_read);
  put_count(json, "input_cache_write", cached.usage.input_cache_write);
  put_count(json, "output_visible", cached.usage.output_visible);
  put_count(json, "output_reasoning", cached.usage.output_reasoning);
  std::error_code ignored;
  std::filesystem::create_directories(path(key).parent_path(), ignored);
  (void)write_file(path(key), json_text(json)).ok();
}

}  // namespace assay
