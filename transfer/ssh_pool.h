/* The sessions of one host: connecting them, not too many at a time, and keeping a few for the next flow. Private to transfer/. Thread-safe. */
#ifndef TRANSHIP_TRANSFER_SSH_POOL_H
#define TRANSHIP_TRANSFER_SSH_POOL_H

#include "base/err.h"
#include "transfer/ssh.h"

struct ts_pool;

/* conf is borrowed and must outlive the pool and its sessions. */
int ts_pool_new(const struct ts_ssh_conf *conf, struct ts_pool **ret, struct ts_err *err);
/* A new session. A connection that is closed before it is used is tried again, tries times in all (sshd's MaxStartups drops some at random).
 * stop_fd: readable when it is not wanted any more; -1: only the end of the pool says that. Errors as ts_ssh_connect(). */
int ts_pool_connect(struct ts_pool *p, unsigned tries, int stop_fd, struct ts_ssh **ret, struct ts_err *err);
/* An idle session that looks alive, or NULL. */
struct ts_ssh *ts_pool_take(struct ts_pool *p);
/* Back into the pool, or freed when there are enough. NULL is fine. */
void ts_pool_give(struct ts_pool *p, struct ts_ssh *s);
/* Marks a session of the pool as idle without giving it back. */
void ts_pool_rest(struct ts_pool *p, struct ts_ssh *s);
/* A session of the pool turned out to be lost without a word: the other idle ones are no better. */
void ts_pool_drop_idle(struct ts_pool *p);
/* Connects n sessions in the background. */
void ts_pool_warm(struct ts_pool *p, unsigned n);
/* Everything under way gives up (TS_ECANCELED); sessions given back from now on are freed. */
void ts_pool_stop(struct ts_pool *p);
/* Joins the background threads, frees the sessions. After ts_pool_stop(). */
void ts_pool_free(struct ts_pool *p);

#endif
