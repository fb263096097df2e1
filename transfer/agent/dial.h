/* A connection to a Unix socket of this host, packed on its way from or to tranship: `tranship-agent dial SOCKET up|down`. */
#ifndef TRANSHIP_TRANSFER_AGENT_DIAL_H
#define TRANSHIP_TRANSFER_AGENT_DIAL_H

/* Standard input goes to the socket, what the socket says to standard output, until it has said everything. "down": what goes out is packed (squeeze.h); "up": what comes in is. The end of standard input is
 * passed on as one of the request alone; one in the middle of what is packed breaks the request off. Returns the exit status: 0, 1 with a line on standard error, 2: not these arguments. */
int ts_dial_main(const char *path, const char *direction);
/* `tranship-agent unpack`: what is packed on standard input, to standard output. */
int ts_unpack_main(void);

#endif
