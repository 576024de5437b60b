// Finding the tasks of all suites.
#include <gmock/gmock.h>

#include "task_text.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class CatalogueTest : public testing::Test {
 protected:
  void add(const std::string& suite, const std::string& id) {
    write_task(root_ / suite, changed(kTaskText, "id = \"row-sum\"", "id = \"" + id + "\""), id);
  }
  Catalogue load() {
    const Result<Catalogue> catalogue = load_catalogue(root_);
    EXPECT_TRUE(catalogue.ok());
    return *catalogue;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("catalogue");
  fs::path root_ = folder_.path() / "suites";
};

TEST_F(CatalogueTest, ListsTasksSortedBySuiteAndId) {
  add("b-suite", "alpha");
  add("a-suite", "gamma");
  add("a-suite", "beta");
  const Catalogue catalogue = load();
  std::vector<std::string> ids;
  for (const Task& task : catalogue.tasks) ids.push_back(task.suite + "/" + task.id);
  EXPECT_THAT(ids, ElementsAre("a-suite/beta", "a-suite/gamma", "b-suite/alpha"));
  EXPECT_THAT(catalogue.suites.at("a-suite"), ElementsAre("beta", "gamma"));
  EXPECT_TRUE(catalogue.errors.empty());
}

TEST_F(CatalogueTest, ABrokenTaskDoesNotHideTheOthers) {
  add("suite", "good");
  write_task(root_ / "suite", "level = ", "bad");
  fs::create_directories(root_ / "suite" / "empty");
  const Catalogue catalogue = load();
  ASSERT_EQ(catalogue.tasks.size(), 1u);
  ASSERT_EQ(catalogue.errors.size(), 2u);
  EXPECT_THAT(catalogue.errors[0].message, HasSubstr("suite/bad/task.toml"));
  EXPECT_THAT(catalogue.errors[1].message, HasSubstr("suite/empty/task.toml"));
}

TEST_F(CatalogueTest, SuiteFileGivesWordsAndBorrowsTasks) {
  add("first", "alpha");
  add("second", "beta");
  write_text(root_ / "second/suite.toml",
             "title = \"Second\"\ndescription = \"more\"\ntasks = [\"alpha\", \"beta\"]\n");
  const Catalogue catalogue = load();
  EXPECT_TRUE(catalogue.errors.empty());
  EXPECT_EQ(catalogue.about.at("second").title, "Second");
  EXPECT_EQ(catalogue.about.at("second").description, "more");
  EXPECT_EQ(catalogue.about.at("first").title, "first");
  EXPECT_THAT(catalogue.suites.at("second"), ElementsAre("beta", "alpha"));
  EXPECT_EQ(catalogue.tasks.size(), 2u);
}

TEST_F(CatalogueTest, MistakesInASuiteFileAreReported) {
  add("first", "alpha");
  write_text(root_ / "first/suite.toml", "title = \"t\"\ntasks = [\"nothing\"]\n");
  EXPECT_THAT(load().errors.at(0).message, HasSubstr("no suite has a task \"nothing\""));
  write_text(root_ / "first/suite.toml", "titel = \"t\"\n");
  EXPECT_THAT(load().errors.at(0).message,
              HasSubstr("suite.toml:1: \"titel\": is not a known key"));
  write_text(root_ / "first/suite.toml", "title");
  EXPECT_THAT(load().errors.at(0).message, HasSubstr("is not TOML"));
}

TEST_F(CatalogueTest, IdsDifferAcrossSuites) {
  add("first", "alpha");
  add("second", "alpha");
  const Catalogue catalogue = load();
  EXPECT_EQ(catalogue.tasks.size(), 1u);
  EXPECT_THAT(catalogue.errors.at(0).message, HasSubstr("ids must differ across all suites"));
}

TEST_F(CatalogueTest, FindsATaskByIdAndByFolder) {
  add("first", "alpha");
  const Catalogue catalogue = load();
  EXPECT_EQ(find_task(catalogue, "alpha")->id, "alpha");
  EXPECT_EQ(find_task(Catalogue{}, (root_ / "first/alpha").string())->id, "alpha");
}

TEST_F(CatalogueTest, AnUnknownIdListsTheNearest) {
  add("first", "row-softmax");
  add("first", "row-sum");
  add("first", "histogram");
  const Result<Task> task = find_task(load(), "row-softmx");
  ASSERT_FALSE(task.ok());
  EXPECT_EQ(task.error().kind, ErrorKind::not_found);
  EXPECT_THAT(task.error().message, HasSubstr("the nearest ids are: row-softmax"));
  EXPECT_THAT(task.error().message, testing::Not(HasSubstr("histogram")));
  EXPECT_THAT(find_task(load(), "zzz").error().message, HasSubstr("see assay tasks list"));
}

TEST_F(CatalogueTest, ABrokenTaskSaysHowItIsBroken) {
  write_task(root_ / "suite", "level = ", "bad");
  EXPECT_THAT(find_task(load(), "bad").error().message, HasSubstr("is not TOML"));
}

TEST_F(CatalogueTest, AMissingRootIsNotFound) {
  EXPECT_EQ(load_catalogue(root_).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace assay
