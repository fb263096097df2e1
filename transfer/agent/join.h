/* How another strand reaches an agent that runs already: a second copy of the program, started over another SSH channel, hands its standard input and output over and waits until they are not needed
 * any more. The meeting place is a socket without a file (abstract, unix(7)), so that nothing is left behind; only the same user is let in, and its name cannot be guessed. */
#ifndef TRANSHIP_TRANSFER_AGENT_JOIN_H
#define TRANSHIP_TRANSFER_AGENT_JOIN_H

#include "base/err.h"

#define TS_JOIN_NAME_MAX 64U
#define TS_JOIN_GONE 4 /* exit status: nobody listens under that name */

/* Caller closes. TS_EIO. */
int ts_join_listen(char ret_name[TS_JOIN_NAME_MAX], struct ts_err *err);
/* What came: its standard input and output, and the connection, which the other program waits at. -1: nobody, or somebody who may not. Waits a second at most. */
int ts_join_accept(int listen_fd, int ret_fds[2], int *ret_conn);
/* The second copy: its exit status. */
int ts_join_main(const char *name);

#endif
