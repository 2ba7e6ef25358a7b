#include "core/schedule/accounts.h"

#include <algorithm>

namespace ropewalk {

void Accounts::join(uint32_t account) {
  if (!accounts_.contains(account)) {
    const auto least = std::ranges::min_element(
        accounts_, {}, [](const auto& entry) { return entry.second.charged; });
    accounts_[account].charged = least == accounts_.end() ? 0 : least->second.charged;
  }
  ++accounts_[account].requests;
}

void Accounts::leave(uint32_t account) {
  if (--accounts_.at(account).requests == 0) accounts_.erase(account);
}

}  // namespace ropewalk
