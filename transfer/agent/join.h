/* How another strand reaches an agent that runs already: a second copy of the program, started over another SSH channel, hands its standard input and output over and waits until they are not needed
 * any more. The meeting place is a socket beside the program, in a directory that only root enters: one without a file would be open to whoever shares the network with the host, root in a container too. */
#ifndef TRANSHIP_TRANSFER_AGENT_JOIN_H
#define TRANSHIP_TRANSFER_AGENT_JOIN_H

#include "base/err.h"

#define TS_JOIN_NAME_MAX 80U
#define TS_JOIN_GONE 4 /* exit status: nobody listens under that name */

/* Caller closes it, and says good-bye with ts_join_forget(). What agents that were killed left there goes. owner: a migration, which the name has in it, or NULL. TS_EIO. */
int ts_join_listen(const char *owner, char ret_name[TS_JOIN_NAME_MAX], struct ts_err *err);
void ts_join_forget(const char *name);
void ts_join_sweep(void); /* removes those at which nobody listens */
/* What came: its standard input and output, and the connection, which the other program waits at. -1: nobody, or somebody who may not. Waits a second at most. */
int ts_join_accept(int listen_fd, int ret_fds[2], int *ret_conn);
/* The second copy: its exit status. */
int ts_join_main(const char *name);

#endif
