#include "core/schedule/accounts.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

TEST(Accounts, WhoComesBackHasSavedNothing) {
  Accounts accounts;
  accounts.join(1);
  EXPECT_EQ(accounts.charged(1), 0);
  accounts.charge(1, 100);
  accounts.join(2);
  EXPECT_EQ(accounts.charged(2), 100);
  accounts.charge(2, 50);
  accounts.join(3);
  EXPECT_EQ(accounts.charged(3), 100);
  accounts.leave(1);
  accounts.leave(3);
  accounts.join(1);
  EXPECT_EQ(accounts.charged(1), 150);
}

TEST(Accounts, AnAccountIsThereUntilItsLastRequestLeaves) {
  Accounts accounts;
  accounts.join(1);
  accounts.charge(1, 5);
  accounts.join(1);
  accounts.leave(1);
  EXPECT_EQ(accounts.charged(1), 5);
  accounts.leave(1);
  accounts.join(1);
  EXPECT_EQ(accounts.charged(1), 0);
}

}  // namespace
}  // namespace ropewalk::test
