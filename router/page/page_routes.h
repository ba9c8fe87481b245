#pragma once

// The page at / with its files below /page/, and its live feed.

#include "router/http/door/routes.h"
#include "router/page/page_feed.h"

namespace atoll::router::page {

// The page itself needs no key; its feed does, where there are keys. The feed outlives the routes' use.
void AddPageRoutes(PageFeed* feed, http::Routes& routes);

}  // namespace atoll::router::page
