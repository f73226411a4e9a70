/* SPDX-License-Identifier: Apache-2.0
 *
 * server: the API's socket and its connections (contract, 2.1). All on the loop's
 * thread, without the device lock; nothing here waits for a client. What a client can
 * make it hold is one request of limited size and one reply, per connection.
 */
#ifndef HUSK_API_SERVER_H
#define HUSK_API_SERVER_H

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/codec/http.h"

enum { SERVER_CONNECTIONS = 10 };

struct server;

/* Serves the connections of listen_fd, a listening Unix stream socket, which is taken
 * over even on failure and made non-blocking. Requests go to the handler one at a time,
 * at most one of each connection per turn of the loop; it must not destroy the server.
 * A request that it wants to answer later is shown to it again every 2 ms, and nothing
 * else of that connection is read or seen until it is answered. loop and self are
 * borrowed. 0 or -errno with text. */
MUST_CHECK int server_create(struct loop *loop, int listen_fd, size_t max_body,
	http_handler *handler, void *self, struct server **out, struct err *e);

/* Closes all connections; replies under way are cut. */
void server_destroy(struct server *s);
DEFINE_AUTO(struct server *, server_destroy);

#endif
