/* What `ssh -G` says about a host: the user's own configuration, resolved by the program that owns its syntax.
 *
 * The field names are ssh_config(5)'s. Bounded: 256 KiB of output, 32 files a list, 10 s (`Match exec` may run commands). */
#ifndef TRANSHIP_TRANSFER_SSH_CONF_H
#define TRANSHIP_TRANSFER_SSH_CONF_H

#include "base/err.h"
#include "base/str.h"
#include "transfer/host.h"
#include "transfer/spawn.h"

#include <stdbool.h>

struct ts_ssh_conf {
        char *alias; /* what the user typed */
        char *user;
        char *hostname;                                   /* where to connect to */
        char *port;                                       /* 1..65535, checked */
        char *host_key_alias;                             /* the name in known_hosts, or NULL */
        char *identity_agent;                             /* "none", a path, "SSH_AUTH_SOCK", "$VARIABLE", or NULL: SSH_AUTH_SOCK */
        char *proxy_jump;                                 /* or NULL */
        char *proxy_command;                              /* not expanded, or NULL */
        char *family;                                     /* "any", "inet", "inet6" */
        char *ciphers, *macs, *kex, *host_key_algorithms; /* what the user allows: comma lists, or NULL */
        struct ts_list identities;                        /* private keys, `~` and tokens expanded; they need not exist */
        struct ts_list certificates;                      /* likewise, CertificateFile */
        struct ts_list known_hosts;                       /* the user's files, expanded; the first one gets new keys */
        struct ts_list global_known_hosts;
        bool identities_only;
        bool strict;     /* StrictHostKeyChecking yes: ssh itself does not ask about a new key */
        bool accept_new; /* asked for by our options, or by StrictHostKeyChecking accept-new or no */
        unsigned connect_timeout_ms, peer_timeout_ms;
        char *config_file;    /* as given to us, or NULL */
        struct ts_list asked; /* the words that follow `ssh` on a command line for the same host */
        bool own_identity;    /* identities[0] was named on our command line */
        bool own_known_hosts; /* likewise the file, */
        bool own_accept_new;  /* and the trust in new keys: both hold for jump hosts too */
        struct ts_user owner; /* whose configuration this is; programs it names run as this user */
};

/* Fills conf (zero-initialised by the callee). TS_EUSAGE: a name ssh would take for an option, a configuration it rejects, something in it that cannot be honoured;
 * TS_ENOTFOUND: no ssh program, no such identity file. */
int ts_ssh_conf_load(const char *user, const char *host, unsigned port, const struct ts_ssh_opts *opts, struct ts_ssh_conf *ret,
                     struct ts_err *err);
/* The same from text: the parsing alone. conf->owner, alias must be set. */
int ts_ssh_conf_parse(struct ts_ssh_conf *conf, char *text, struct ts_err *err);
void ts_ssh_conf_clear(struct ts_ssh_conf *conf);
/* By which a person tries the same, quoted for a shell: "ssh … HOST true", with what was said of
 * the user, the port and the files. Caller frees; NULL only out of memory. */
char *ts_ssh_conf_try(const struct ts_ssh_conf *conf, bool batch);
/* The option for ssh that names our own file of known hosts, which must be there, as one word: before it "-o" or nothing. */
int ts_ssh_conf_add_known_hosts(const struct ts_ssh_conf *conf, struct ts_list *argv, const char *before, struct ts_err *err);

/* %h %p %r %n %u %d %L %l %i %k %% in text. TS_EUSAGE for any other. Caller frees. */
int ts_ssh_conf_expand(const struct ts_ssh_conf *conf, const char *text, char **ret, struct ts_err *err);

/* The same, then ${NAME} from the environment, then `~`: for the names of files. TS_EUSAGE for a
 * variable that is not set, too. */
int ts_ssh_conf_expand_file(const struct ts_ssh_conf *conf, const char *text, char **ret,
                            struct ts_err *err);

#endif
