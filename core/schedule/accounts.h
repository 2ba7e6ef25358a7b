// accounts.h — who has had how much, so that a client with many requests does not keep the others
// waiting. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>

namespace ropewalk {

class Accounts {
 public:
  // A request of the account is there, from join() to leave(). Who was away begins with as much as
  // the one who has had the least: nobody saves up.
  void join(uint32_t account);
  void leave(uint32_t account);
  // REQUIRES: it has joined.
  void charge(uint32_t account, double tokens) { accounts_.at(account).charged += tokens; }
  double charged(uint32_t account) const { return accounts_.at(account).charged; }

 private:
  struct Account {
    double charged = 0;
    uint32_t requests = 0;
  };
  std::map<uint32_t, Account> accounts_;  // of those that are there
};

}  // namespace ropewalk
