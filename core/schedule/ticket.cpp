#include "core/schedule/ticket.h"

#include "core/schedule/outbox.h"

namespace ropewalk {

Ticket::~Ticket() { outbox_->cancel(); }

void Ticket::watch(std::function<void()> ready) { outbox_->watch(std::move(ready)); }
Update Ticket::take() { return outbox_->take(); }
Update Ticket::wait() { return outbox_->wait(); }
void Ticket::cancel() { outbox_->cancel(); }

}  // namespace ropewalk
