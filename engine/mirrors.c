/* The journal's copies on both hosts (mirror.h does one; this is what a migration has of them). A copy lives on a host's connection: when that goes, the copy ends, and one is begun anew with the next
 * connection. */
#include "base/log.h"
#include "engine/mig.h"
#include "engine/mirror.h"
#include <stdlib.h>
#include <string.h>

struct slot {
        struct ts_mirror *mirror; /* NULL: not begun, or ended */
        bool known;               /* to the journal: there was one, and is to be again (mirror.h) */
};
struct ts_mirrors {
        struct slot slots[2]; /* by side */
};

static int append(void *ctx, const char *line, size_t len, struct ts_err *err)
{
        struct slot *s = ctx;
        struct ts_journal_mirror hook;

        if (!s->mirror)
                return ts_err_set(err, TS_ECONNECT, "the connection of this copy of the journal ended");
        hook = ts_mirror_hook(s->mirror);
        return hook.append(hook.ctx, line, len, err);
}

static int begin(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        struct slot *s = &m->mirrors->slots[e->side];
        struct ts_journal_mirror hook = { .append = append, .ctx = s };

        ts_mirror_free(TS_TAKE(s->mirror));
        if (ts_mirror_start(e->host, NULL, m->id, e->side, /* again= */ s->known, &s->mirror, err) < 0)
                return -1;
        if (s->known)
                return ts_journal_renew_mirror(m->j, s, err);
        s->known = ts_journal_add_mirror(m->j, &hook, err) == 0;
        return s->known ? 0 : -1;
}

int ts_stage_everywhere(struct ts_mig *m, enum ts_stage stage, struct ts_err *err)
{
        struct ts_end *ends[] = { &m->src, &m->dst };
        ts_auto_err first = TS_ERR_INIT;

        if (ts_journal_set_stage(m->j, stage, NULL, &first) == 0)
                return 0;
        if (!m->mirrors || !m->o->reconnect_timeout_ms || !ts_journal_mirrors_broken(m->j)) {
                ts_err_move(err, &first);
                return -1;
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(ends); i++) {
                const struct slot *s = &m->mirrors->slots[ends[i]->side];

                if (s->known && (!s->mirror || ts_mirror_error(s->mirror)) && ends[i]->host && begin(m, ends[i], err) < 0)
                        return ts_err_prefix(err, "the stage '%s' is not in every copy of the journal", ts_stage_str(stage));
        }
        return ts_journal_set_stage(m->j, stage, NULL, err);
}

static bool says_taken(const char *error)
{
        return error && strstr(error, TS_MIRROR_TAKEN);
}

bool ts_mirrors_taken(struct ts_mig *m)
{
        struct slot *s = m->mirrors ? &m->mirrors->slots[TS_SIDE_TARGET] : NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (!m->j || !s || !s->known)
                return false;
        (void)ts_journal_note(m->j, "looked who decides", NULL);
        if (s->mirror && !ts_mirror_error(s->mirror))
                return false;
        m->deposed |=
                says_taken(ts_mirror_error(s->mirror)) ||
                (m->dst.host && begin(m, &m->dst, &err) < 0 && says_taken(ts_err_message(&err)));
        return m->deposed;
}

void ts_mirrors_renew(struct ts_mig *m)
{
        struct ts_end *ends[] = { &m->src, &m->dst };

        for (size_t i = 0; m->mirrors && i < TS_ARRAY_LEN(ends); i++) {
                const struct slot *s = &m->mirrors->slots[ends[i]->side];
                ts_auto_err err = TS_ERR_INIT;

                if (s->known && (!s->mirror || ts_mirror_error(s->mirror)) && ends[i]->host &&
                    begin(m, ends[i], &err) < 0)
                        ts_debug("%s", ts_err_message(&err));
        }
}

void ts_mirror_begin(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_err err = TS_ERR_INIT;

        if (!m->mirrors || !m->j || !e->host || !ts_vouched(m, e->side)) /* a host must not seem to say what we say */
                return;
        if (begin(m, e, &err) < 0)
                ts_mig_warn(m, "no copy of the journal on '%s': %s", e->ep->label, ts_err_message(&err));
}

void ts_mirrors_start(struct ts_mig *m)
{
        if (!m->mirrors)
                m->mirrors = calloc(1, sizeof(*m->mirrors));
        ts_mirror_begin(m, &m->src);
        ts_mirror_begin(m, &m->dst);
}

void ts_mirror_end(struct ts_mig *m, enum ts_side side)
{
        if (m->mirrors)
                ts_mirror_free(TS_TAKE(m->mirrors->slots[side].mirror));
}

void ts_mirrors_remove(struct ts_mig *m)
{
        struct ts_end *ends[] = { &m->src, &m->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(ends); i++) {
                ts_auto_err err = TS_ERR_INIT;

                ts_mirror_end(m, ends[i]->side);
                if (ends[i]->host && ts_mirror_remove(ends[i]->host, NULL, m->id, ends[i]->side, &err) < 0)
                        ts_mig_leftover(m, "copy of the journal on '%s': %s", ends[i]->ep->label, ts_err_message(&err));
        }
}

void ts_mirrors_free(struct ts_mirrors *x)
{
        for (size_t i = 0; x && i < TS_ARRAY_LEN(x->slots); i++)
                ts_mirror_free(x->slots[i].mirror);
        free(x);
}
