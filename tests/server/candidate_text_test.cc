#include "server/protocols/candidate_text.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(CandidateTextTest, CutsPromptAndEndTokens) {
  EXPECT_EQ(response_of("<|user|>hi<|assistant|>code<|im_end|>\n", "<|user|>hi<|assistant|>"),
            "code");
  EXPECT_EQ(response_of("code</s><pad><pad>", ""), "code");
  // Truncated from the left: no prefix any more, the text stays whole.
  EXPECT_EQ(response_of("i<|assistant|>code", "<|user|>hi<|assistant|>"), "i<|assistant|>code");
  EXPECT_EQ(response_of("", "x"), "");
}

TEST(CandidateTextTest, ReadsTheTaskFromALabelOrTheUrl) {
  ServerRequest request;
  request.query = {{"task", "from-url"}, {"reward", "correct"}};
  EXPECT_EQ(label_of(R"({"task_id": "a", "reward_spec": "kevin32b"})", request).task_id, "a");
  EXPECT_EQ(label_of(R"({"task_id": "a", "reward_spec": "kevin32b"})", request).reward, "kevin32b");
  EXPECT_EQ(label_of("vector-add", request).task_id, "vector-add");
  EXPECT_EQ(label_of("vector-add", request).reward, "correct");
  EXPECT_EQ(label_of("", request).task_id, "from-url");
  EXPECT_EQ(label_of("{broken", request).task_id, "from-url");
  EXPECT_EQ(label_of(R"({"task_id": 7})", request).task_id, "from-url");
}

}  // namespace
}  // namespace assay
