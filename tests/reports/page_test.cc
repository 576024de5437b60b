#include "reports/page.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace assay {
namespace {

TEST(HtmlEscape, NeutralisesMarkupAndInvalidBytes) {
  EXPECT_EQ(html_escape("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
  EXPECT_EQ(html_escape("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(html_escape("é"), "é");
  EXPECT_EQ(html_escape("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(HtmlPage, ShowsVerdictsAndEscapesTheCandidatesCode) {
  const TemporaryFolder folder = *TemporaryFolder::create("page-test");
  const auto store = *Store::open(folder.path());
  Evaluation evaluation;
  evaluation.task_id = "vector-add";
  evaluation.candidate = "evil.cu";
  evaluation.code = "// </pre><script>alert(1)</script>";
  evaluation.language = Language::triton;
  evaluation.outcome = Outcome::runtime_fault;
  ASSERT_TRUE(store->add({}, evaluation, "{}").ok());
  const auto page = html_page(*store, "a run");
  ASSERT_TRUE(page.ok());
  EXPECT_NE(page->find("runtime_fault"), std::string::npos);
  EXPECT_NE(page->find(">triton<"), std::string::npos);
  EXPECT_EQ(page->find("<script>alert"), std::string::npos);
  EXPECT_NE(page->find("&lt;script&gt;alert"), std::string::npos);
}

}  // namespace
}  // namespace assay
