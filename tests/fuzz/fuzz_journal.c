/* A journal found on a host: no bytes may crash the reader, and what it accepts is safe to act on, reads the same a second time, and is still a journal when a crash takes its end away. */
#include "tests/fuzz/fuzz.h"

#include "engine/journal_priv.h"

#include <stdlib.h>
#include <string.h>

static void must(int holds)
{
        if (!holds)
                abort();
}

static void check_path(const char *path)
{
        if (!path || *path != '/')
                return;
        must(path[strspn(path, "/")] != '\0' && !strstr(path, "/../") && !strstr(path, "/./"));
}

static void check_string(const char *s)
{
        for (; s && *s; s++)
                must((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check(const struct ts_journal *j)
{
        const struct ts_journal_head *h = ts_journal_head(j);

        must(h->id && !strchr(h->id, '/') && *h->id != '.' && h->container_id && h->container_name && h->source && h->target &&
             ts_json_is_object(h->options));
        must(ts_journal_stage(j) < TS_STAGE_MAX && !ts_journal_res(j, ts_journal_res_count(j)));
        must(ts_journal_res_count(j) <= TS_JOURNAL_MAX_RES);
        for (size_t i = 0; i < ts_journal_res_count(j); i++) {
                const struct ts_res *r = ts_journal_res(j, i);

                must(r->n == i && r->kind < TS_RES_KIND_MAX && r->side <= TS_SIDE_TARGET && r->state <= TS_RES_KEPT);
                check_string(r->name);
                check_string(r->id);
                check_string(r->before);
                check_path(r->name);
                must((r->kind != TS_RES_STAGING && r->kind != TS_RES_PATH) || (r->name && *r->name == '/'));
        }
}

static struct ts_journal *parse(const char *text, size_t len)
{
        struct ts_journal *j = ts_journal_new();
        struct ts_err err = TS_ERR_INIT;

        must(j != NULL);
        if (ts_journal_parse(j, text, len, &err) < 0) {
                must(err.code == TS_EPROTO || err.code == TS_ELIMIT);
                ts_journal_free(j);
                j = NULL;
        }
        ts_err_clear(&err);
        return j;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ts_auto(ts_journal) struct ts_journal *j = parse((const char *)data, size), *again = NULL, *cut = NULL;

        if (!j)
                return 0;
        check(j);
        again = parse(j->text.buf, j->text.len);
        must(again && ts_journal_stage(again) == ts_journal_stage(j) && ts_journal_res_count(again) == ts_journal_res_count(j) &&
             again->text.len == j->text.len);
        cut = parse(j->text.buf, j->text.len - 1 - data[0] % j->text.len);
        must(!cut || (ts_journal_res_count(cut) <= ts_journal_res_count(j) && cut->seq <= j->seq));
        if (cut)
                check(cut);
        return 0;
}
