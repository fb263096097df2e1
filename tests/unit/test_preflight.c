/* The parts of preflight that only compare: versions, processors, subnets, ports, labels, the user's word about volumes and bind mounts, the table of codes. */
#include "engine/preflight.h"
#include "tests/unit/unit.h"
#include <arpa/inet.h>

static void versions_compare_by_number(void)
{
        CU_ASSERT_EQUAL(ts_version_compare("1.9", "1.32", 2), -1);
        CU_ASSERT_EQUAL(ts_version_compare("1.41", "1.32", 2), 1);
        CU_ASSERT_EQUAL(ts_version_compare("v4.0.0", "4.0", 3), 0);
        CU_ASSERT_EQUAL(ts_version_compare("6.18.44-fc-v595", "6.18.2-amd64", 2), 0);
        CU_ASSERT_EQUAL(ts_version_compare("6.1.0-40", "6.12.0", 2), -1);
        CU_ASSERT_EQUAL(ts_version_compare("4.2.1", "4.2", 3), 1);
        CU_ASSERT_EQUAL(ts_version_compare(NULL, "1", 1), -1);
        CU_ASSERT_EQUAL(ts_version_compare("", "", 3), 0);
        CU_ASSERT_EQUAL(ts_version_compare("99999999999999999999999.1", "1", 1), 1);
}

static enum ts_restore_gate gate(int a, int b, int c, const char *mode)
{
        return ts_docker_restore_gate((const int[3]){ a, b, c }, mode);
}

static void docker_versions_that_cannot_restore(void)
{
        CU_ASSERT_EQUAL(gate(17, 9, 0, "bridge"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(24, 0, 9, "bridge"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(25, 0, 0, "bridge"), TS_RESTORE_DIGEST);
        CU_ASSERT_EQUAL(gate(25, 0, 3, "host"), TS_RESTORE_DIGEST);
        CU_ASSERT_EQUAL(gate(25, 0, 4, "bridge"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(26, 0, 0, "bridge"), TS_RESTORE_NETNS);
        CU_ASSERT_EQUAL(gate(26, 0, 0, "host"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(26, 0, 1, "bridge"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(26, 1, 5, NULL), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(27, 5, 1, "mynet"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(28, 0, 0, "mynet"), TS_RESTORE_NETNS);
        CU_ASSERT_EQUAL(gate(29, 7, 2, "none"), TS_RESTORE_NETNS);
        CU_ASSERT_EQUAL(gate(28, 5, 2, "container:abc"), TS_RESTORE_WORKS);
        CU_ASSERT_EQUAL(gate(28, 5, 2, NULL), TS_RESTORE_NETNS);
}

static void processor_flags(void)
{
        char *missing = ts_cpu_missing("flags\t\t: fpu sse4_2 avx avx2 avx512f vmx pti", "flags\t\t: fpu sse4_2 avx hypervisor");

        UNIT_STR(missing, "avx2 avx512f"); /* vmx and pti are nothing a program could use */
        free(missing);
        UNIT_STR(ts_cpu_missing("flags : avx", "flags : avx avx2"), NULL);
        UNIT_STR(ts_cpu_missing("flags : ", "flags : avx"), NULL);
        UNIT_STR(ts_cpu_missing(NULL, "flags : avx"), NULL);
        missing = ts_cpu_missing("flags : avx", "flags : avx2"); /* whole words */
        UNIT_STR(missing, "avx");
        free(missing);
        missing = ts_cpu_missing("Features\t: fp asimd sve", "Features\t: fp asimd");
        UNIT_STR(missing, "sve");
        free(missing);
}

static struct ts_prefix prefix(const char *s)
{
        struct ts_prefix p = { 0 };

        CU_ASSERT_EQUAL_FATAL(ts_prefix_parse(s, &p), 0);
        return p;
}

static bool overlap(const char *a, const char *b)
{
        struct ts_prefix x = prefix(a), y = prefix(b);

        CU_ASSERT_EQUAL(ts_prefix_overlap(&x, &y), ts_prefix_overlap(&y, &x));
        return ts_prefix_overlap(&x, &y);
}

static void subnets_overlap(void)
{
        CU_ASSERT_TRUE(overlap("10.88.0.0/16", "10.88.4.0/24"));
        CU_ASSERT_FALSE(overlap("10.88.0.0/16", "10.89.0.0/24"));
        CU_ASSERT_FALSE(overlap("192.168.0.0/25", "192.168.0.128/25"));
        CU_ASSERT_TRUE(overlap("192.168.0.0/24", "192.168.0.128/25"));
        CU_ASSERT_TRUE(overlap("0.0.0.0/0", "1.2.3.4"));
        CU_ASSERT_TRUE(overlap("fd00::/8", "fd00:1::/64"));
        CU_ASSERT_FALSE(overlap("fd00:1::/64", "fd00:2::/64"));
        CU_ASSERT_FALSE(overlap("::/0", "10.0.0.0/8"));
}

static void subnets_hold_addresses(void)
{
        struct ts_prefix p = prefix("10.88.0.0/16");

        CU_ASSERT_TRUE(ts_prefix_holds(&p, "10.88.3.4"));
        CU_ASSERT_TRUE(ts_prefix_holds(&p, "10.88.3.4/24"));
        CU_ASSERT_FALSE(ts_prefix_holds(&p, "10.89.3.4"));
        CU_ASSERT_FALSE(ts_prefix_holds(&p, "fd00::1"));
        CU_ASSERT_FALSE(ts_prefix_holds(&p, "not an address"));
        CU_ASSERT_FALSE(ts_prefix_holds(&p, NULL));
}

static void addresses_made_inside(void)
{
        static const char settings[] = "{\"IPAddress\":\"10.88.0.2\",\"Networks\":{\"n\":{\"GlobalIPv6Address\":\"fd00::2\","
                                       "\"IPAMConfig\":{\"LinkLocalIPs\":[\"169.254.1.1\"]},\"Other\":\"10.0.0.9/24\"}}}";
        static const char *const not_made[] = { "10.88.0.2", "fd00::2", "169.254.1.1", "10.0.0.9", "127.0.0.1", "127.0.0.11", "0.0.0.0", "224.0.0.1", "255.255.255.255", "", "no address" };
        static const char *const made[] = { "10.88.0.20", "0.88.0.2x", "203.0.113.5", "fd00::3", "88.0.2.1" };
        char text[INET_ADDRSTRLEN];

        for (size_t i = 0; i < TS_ARRAY_LEN(not_made); i++)
                CU_ASSERT_FALSE(ts_address_is_made(settings, not_made[i]));
        for (size_t i = 0; i < TS_ARRAY_LEN(made); i++)
                CU_ASSERT_EQUAL(ts_address_is_made(settings, made[i]), !strchr(made[i], 'x'));
        CU_ASSERT_TRUE(ts_proc_address4("057100CB", false, text));
        UNIT_STR(text, "203.0.113.5");
        CU_ASSERT_TRUE(ts_proc_address4("CB007105", true, text));
        UNIT_STR(text, "203.0.113.5");
        CU_ASSERT_FALSE(ts_proc_address4("057100C", false, text));
        CU_ASSERT_FALSE(ts_proc_address4("057100CX", false, text));
}

static void malformed_subnets(void)
{
        static const char *const bad[] = { "",
                                           "/",
                                           "/8",
                                           "10.0.0.0/33",
                                           "10.0.0.0/",
                                           "10.0.0.0/-1",
                                           "10.0.0.0/8x",
                                           "10.0.0",
                                           "10.0.0.0.0",
                                           "fd00::/129",
                                           "fd00:::",
                                           "x",
                                           "::/0/0",
                                           "1111111111111111111111111111111111111111111111111111111/8" };
        struct ts_prefix p;

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                CU_ASSERT_EQUAL(ts_prefix_parse(bad[i], &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_parse(NULL, &p), -1);
}

static void routes(void)
{
        struct ts_prefix p, want = prefix("10.77.0.0/24"), docker = prefix("172.17.0.0/16"), six = prefix("fd00:5::/64");

        CU_ASSERT_EQUAL(ts_prefix_from_route("eth0 00004D0A 00000000 00FFFFFF", false, &p), 0);
        CU_ASSERT_EQUAL(p.len, 24);
        CU_ASSERT_TRUE(ts_prefix_overlap(&p, &want));
        CU_ASSERT_EQUAL(ts_prefix_from_route("docker0 AC110000 00000000 FFFF0000", true, &p), 0);
        CU_ASSERT_EQUAL(p.len, 16);
        CU_ASSERT_TRUE(ts_prefix_overlap(&p, &docker));
        CU_ASSERT_EQUAL(ts_prefix_from_route("eth0 00000000 0100A8C0 00000000", false, &p), -1); /* default */
        CU_ASSERT_EQUAL(ts_prefix_from_route("wg0 00000000 00000000 00000000", false, &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route("eth0 0000000A 0100A8C0 000000FF", false, &p), -1); /* through a gateway */
        CU_ASSERT_EQUAL(ts_prefix_from_route("eth0 zz 00000000 000000FF", false, &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route("", false, &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route(NULL, false, &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route6("fd000005000000000000000000000000 40 00000000000000000000000000000000 eth0", &p), 0);
        CU_ASSERT_TRUE(ts_prefix_overlap(&p, &six));
        CU_ASSERT_EQUAL(ts_prefix_from_route6("fe800000000000000000000000000000 40 00000000000000000000000000000000 eth0", &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route6("ff000000000000000000000000000000 08 00000000000000000000000000000000 eth0", &p), -1);
        CU_ASSERT_EQUAL(ts_prefix_from_route6("fd 40 0 eth0", &p), -1);
}

static void listening_sockets(void)
{
        CU_ASSERT_TRUE(ts_listen_conflicts("00000000:1F90", NULL, 8080, false));
        CU_ASSERT_TRUE(ts_listen_conflicts("00000000:1F90", "10.0.0.1", 8080, false));
        CU_ASSERT_FALSE(ts_listen_conflicts("00000000:1F90", NULL, 8081, false));
        CU_ASSERT_TRUE(ts_listen_conflicts("0100007F:1F90", "", 8080, false));
        CU_ASSERT_TRUE(ts_listen_conflicts("0100007F:1F90", "127.0.0.1", 8080, false));
        CU_ASSERT_TRUE(ts_listen_conflicts("7F000001:1F90", "127.0.0.1", 8080, true));
        CU_ASSERT_FALSE(ts_listen_conflicts("0100007F:1F90", "10.0.0.1", 8080, false));
        CU_ASSERT_TRUE(ts_listen_conflicts("00000000000000000000000000000000:0016", "10.0.0.1", 22, false));
        CU_ASSERT_FALSE(ts_listen_conflicts("0000000000000000FFFF00000100007F:0016", "10.0.0.1", 22, false));
        CU_ASSERT_FALSE(ts_listen_conflicts("nonsense", NULL, 22, false));
        CU_ASSERT_FALSE(ts_listen_conflicts("", NULL, 0, false));
        CU_ASSERT_TRUE(ts_arch_big_endian("s390x"));
        CU_ASSERT_FALSE(ts_arch_big_endian("ppc64le"));
}

static void labels_of_supervisors(void)
{
        UNIT_STR(ts_supervisor("PODMAN_SYSTEMD_UNIT"), "systemd");
        UNIT_STR(ts_supervisor("com.docker.compose.project"), "Docker Compose");
        UNIT_STR(ts_supervisor("com.docker.swarm.service.name"), "Docker Swarm");
        UNIT_STR(ts_supervisor("io.podman.compose.project"), "Podman Compose");
        UNIT_STR(ts_supervisor("com.hashicorp.nomad.alloc_id"), "Nomad");
        UNIT_STR(ts_supervisor("io.kubernetes.pod.name"), "Kubernetes");
        UNIT_STR(ts_supervisor("PODMAN_SYSTEMD_UNITS"), NULL);
        UNIT_STR(ts_supervisor("com.docker.composer"), NULL);
        UNIT_STR(ts_supervisor("tranship.migration"), NULL);
        UNIT_STR(ts_supervisor(""), NULL);
}

static void criu_configuration(void)
{
        CU_ASSERT_TRUE(ts_criu_conf_says("tcp-established", "tcp-established"));
        CU_ASSERT_TRUE(ts_criu_conf_says("  --tcp-established # why", "tcp-established"));
        CU_ASSERT_TRUE(ts_criu_conf_says("file-locks\r", "file-locks"));
        CU_ASSERT_EQUAL(ts_ghost_limit(NULL), 1 << 20);
        CU_ASSERT_EQUAL(ts_ghost_limit("ghost-limit # 5M"), 1 << 20);
        CU_ASSERT_EQUAL(ts_ghost_limit("--ghost-limit 100M # why"), 100 << 20);
        CU_ASSERT_EQUAL(ts_ghost_limit("ghost-limit 12345"), 12345);
        CU_ASSERT_FALSE(ts_criu_conf_says("# tcp-established", "tcp-established"));
        CU_ASSERT_FALSE(ts_criu_conf_says("tcp-established-not", "tcp-established"));
        CU_ASSERT_FALSE(ts_criu_conf_says("", "file-locks"));
}

static void choice_is(const char *spec, const char *option, const char *name, enum ts_data_mode mode)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_data_choice c = { 0 };

        UNIT_OK(ts_data_choice_parse(spec, option, &c, &err));
        UNIT_STR(c.name, name);
        CU_ASSERT_EQUAL(c.mode, mode);
        free(c.name);
}

static void the_users_word(void)
{
        static const char *const bad_volumes[] = { "", "=", "db", "db=", "=replace", "db=copy", "db=Replace", "db=replace " };
        static const char *const bad_binds[] = { "", "/srv", "/srv=replace", "=copy", "/srv=shared=" };
        ts_auto_err err = TS_ERR_INIT;
        struct ts_data_choice c = { 0 };

        choice_is("db=replace", "--volume", "db", TS_DATA_REPLACE);
        choice_is("db=shared", "--volume", "db", TS_DATA_SHARED);
        choice_is("/srv/a=b=copy", "--bind", "/srv/a=b", TS_DATA_COPY);
        choice_is("/srv/=shared", "--bind", "/srv/", TS_DATA_SHARED);
        for (size_t i = 0; i < TS_ARRAY_LEN(bad_volumes); i++)
                UNIT_FAILS(ts_data_choice_parse(bad_volumes[i], "--volume", &c, &err), TS_EUSAGE);
        for (size_t i = 0; i < TS_ARRAY_LEN(bad_binds); i++)
                UNIT_FAILS(ts_data_choice_parse(bad_binds[i], "--bind", &c, &err), TS_EUSAGE);
        CU_ASSERT_PTR_NULL(c.name);
}

/* ---- the plan, on a container made by hand ---- */
static struct ts_mount mounts[] = {
        { .type = (char[]){ "volume" },
          .name = (char[]){ "db" },
          .source = (char[]){ "/vol/db" },
          .destination = (char[]){ "/var/lib/db" },
          .rw = true },
        { .type = (char[]){ "volume" },
          .name = (char[]){ "db" },
          .source = (char[]){ "/vol/db" },
          .destination = (char[]){ "/again" },
          .rw = false },
        { .type = (char[]){ "bind" }, .source = (char[]){ "/srv/www" }, .destination = (char[]){ "/www" }, .rw = true },
        { .type = (char[]){ "bind" }, .source = (char[]){ "/etc/tz" }, .destination = (char[]){ "/tz" }, .rw = false },
        { .type = (char[]){ "tmpfs" }, .destination = (char[]){ "/tmp" }, .rw = true },
};

struct bench {
        struct ts_container c;
        struct ts_move_opts o;
        struct ts_list volumes, binds, skips;
        struct ts_findings findings;
        struct ts_mig m;
};

static void bench_init(struct bench *b)
{
        static char name[] = "web";

        *b = (struct bench){ .c = { .name = name, .mounts = mounts, .n_mounts = TS_ARRAY_LEN(mounts) } };
        b->o.volumes = &b->volumes;
        b->o.binds = &b->binds;
        b->o.skips = &b->skips;
        b->m = (struct ts_mig){ .o = &b->o, .c = &b->c, .findings = &b->findings };
}

static void bench_clear(struct bench *b)
{
        for (size_t i = 0; i < b->m.n_data; i++) {
                free(b->m.data[i].src_path);
                free(b->m.data[i].dst_path);
        }
        free(b->m.data);
        for (size_t i = 0; i < b->findings.n; i++) {
                free(b->findings.v[i].message);
                free(b->findings.v[i].hint);
        }
        free(b->findings.v);
        ts_list_clear(&b->volumes);
        ts_list_clear(&b->binds);
        ts_list_clear(&b->skips);
}

static void plan_without_a_word(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct bench b;

        bench_init(&b);
        UNIT_OK(ts_data_plan(&b.m, &err));
        CU_ASSERT_EQUAL_FATAL(b.m.n_data, 3); /* a volume mounted twice is one; tmpfs is memory */
        CU_ASSERT_TRUE(b.m.data[0].is_volume);
        CU_ASSERT_EQUAL(b.m.data[0].mode, TS_DATA_COPY);
        UNIT_STR(b.m.data[0].src_path, "/vol/db");
        CU_ASSERT_PTR_NULL(b.m.data[0].dst_path);
        CU_ASSERT_EQUAL(b.m.data[1].mode, TS_DATA_SHARED);
        CU_ASSERT_FALSE(ts_data_decided(&b.m, &b.m.data[1]));
        UNIT_STR(b.m.data[1].dst_path, "/srv/www");
        CU_ASSERT_EQUAL(b.m.data[2].mode, TS_DATA_SHARED);
        UNIT_OK(ts_data_plan(&b.m, &err)); /* a second look replaces the first */
        CU_ASSERT_EQUAL(b.m.n_data, 3);
        bench_clear(&b);
}

static void plan_with_words(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct bench b;

        bench_init(&b);
        UNIT_OK(ts_list_add(&b.volumes, "db=shared", &err));
        UNIT_OK(ts_list_add(&b.binds, "/www/=copy", &err)); /* by its place in the container */
        UNIT_OK(ts_list_add(&b.binds, "/etc/tz=shared", &err));
        UNIT_OK(ts_data_plan(&b.m, &err));
        CU_ASSERT_EQUAL(b.m.data[0].mode, TS_DATA_SHARED);
        CU_ASSERT_EQUAL(b.m.data[1].mode, TS_DATA_COPY);
        CU_ASSERT_TRUE(ts_data_decided(&b.m, &b.m.data[1]));
        bench_clear(&b);
}

static void plan_refuses(const char *volume, const char *bind, const char *bind2)
{
        ts_auto_err err = TS_ERR_INIT;
        struct bench b;

        bench_init(&b);
        if (volume)
                UNIT_OK(ts_list_add(&b.volumes, volume, &err));
        if (bind)
                UNIT_OK(ts_list_add(&b.binds, bind, &err));
        if (bind2)
                UNIT_OK(ts_list_add(&b.binds, bind2, &err));
        UNIT_FAILS(ts_data_plan(&b.m, &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(b.m.n_data, 0);
        bench_clear(&b);
}

static void plan_refuses_what_it_does_not_know(void)
{
        plan_refuses("nosuch=replace", NULL, NULL);
        plan_refuses("db=what", NULL, NULL);
        plan_refuses(NULL, "/nosuch=copy", NULL);
        plan_refuses(NULL, "/tmp=copy", NULL);
        plan_refuses(NULL, "/srv/www=copy", "/srv/www=shared");
}

/* ---- findings ---- */
static void findings_and_skips(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct bench b;

        bench_init(&b);
        CU_ASSERT_FALSE(ts_findings_refuse(&b.findings));
        ts_find(&b.m, "kernel-older", NULL, "only a warning");
        CU_ASSERT_FALSE(ts_findings_refuse(&b.findings));
        UNIT_OK(ts_list_add(&b.skips, "free-space", &err));
        UNIT_OK(ts_list_add(&b.skips, "auto-remove", &err));
        ts_find(&b.m, "free-space", "make room", "disk\nfull %d", 7);
        CU_ASSERT_FALSE(ts_findings_refuse(&b.findings));
        CU_ASSERT_TRUE(b.findings.v[1].skipped);
        UNIT_STR(b.findings.v[1].message, "disk?full 7");
        UNIT_STR(b.findings.v[1].hint, "make room");
        ts_find_warning(&b.m, "criu-tcp", NULL, "not yet");
        CU_ASSERT_FALSE(ts_findings_refuse(&b.findings));
        ts_find(&b.m, "auto-remove", NULL, "an invariant is not skipped");
        CU_ASSERT_FALSE(b.findings.v[3].skippable);
        CU_ASSERT_TRUE(ts_findings_refuse(&b.findings));
        for (int i = 0; i < 100; i++)
                ts_find(&b.m, "port-taken", NULL, "%d", i);
        CU_ASSERT_EQUAL(b.findings.n, 104);
        UNIT_STR(b.findings.v[103].message, "99");
        bench_clear(&b);
}

static void codes_are_told_apart(void)
{
        for (const struct ts_check *c = ts_checks; c->code; c++) {
                CU_ASSERT_PTR_EQUAL(ts_check_find(c->code), c); /* no code twice */
                CU_ASSERT_FALSE((c->flags & TS_CHECK_SKIPPABLE) && (c->flags & TS_CHECK_INVARIANT));
                CU_ASSERT_TRUE((c->when & (TS_ON_PODMAN | TS_ON_DOCKER)) && (c->when & (TS_ON_LIVE | TS_ON_COLD)));
        }
        CU_ASSERT_PTR_NULL(ts_check_find("no-such-code"));
}

/* ---- what a host told ---- */
/* What both hosts say of "/d", and what is made of it: NULL, or a part of the reason. */
static void shared_is(const char *here, const char *there, bool one_machine, const char *why)
{
        struct ts_facts f[2] = { { .lines = TS_LIST_INIT }, { .lines = TS_LIST_INIT } };
        ts_auto_err err = TS_ERR_INIT;

        for (int i = 0; i < 2; i++) {
                ts_auto_free char *text = ts_fmt("boot=%s\n%send=yes\n",
                                                 one_machine || i ? "x" : "y", i ? there : here);

                UNIT_OK(ts_facts_ask(&f[i], "shared", "/d", &err));
                UNIT_OK(ts_facts_parse(&f[i], ts_or(text, ""), &err));
        }

        ts_auto_free char *said = ts_shared_differ(&f[0], "/d", &f[1], "/d");

        if (why)
                UNIT_STR(strstr(ts_or(said, ""), why) ? "" : ts_or(said, "none"), "");
        else
                UNIT_STR(said, NULL);
        ts_facts_clear(&f[0]);
        ts_facts_clear(&f[1]);
}

static void shared_or_not(void)
{
#define ALL "a.0=2 find /0\n"
        /* ext4 and xfs are one host's own */
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=ef53 5 7\n" ALL, true, NULL);
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=ef53 5 7\n" ALL, false, "of its own");
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=58465342 5 7\n" ALL, false, "of its own");
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=ef53 5 8\n" ALL, true, "inode number");
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=ef53 6 7\n" ALL, true, "inode number");
        /* NFS has the server's numbers, and the server may be one of the two */
        shared_is("a.0=6969 50 7\n" ALL, "a.0=6969 51 7\n" ALL, false, NULL);
        shared_is("a.0=ef53 5 7\n" ALL, "a.0=6969 51 7\n" ALL, false, NULL);
        shared_is("a.0=6969 50 7\n" ALL, "a.0=6969 51 8\n" ALL, false, "is 7 on the source and 8");
        shared_is("a.0=6969 50 2\n" ALL "a.0=2 8 9 1 f\n",
                  "a.0=6969 51 2\n" ALL "a.0=2 8 9 3 f\na.0=2 8 1 1 g\n", false, NULL);
        shared_is("a.0=6969 50 2\n" ALL "a.0=2 8 9 1 f\n", "a.0=6969 51 2\n" ALL "a.0=2 8 8 1 f\n",
                  false, "'f'");
        /* others by names and sizes: FUSE here, SMB there */
        shared_is("a.0=65735546 1 7\n" ALL "a.0=2 8 9 1 f\n",
                  "a.0=65735546 2 8\n" ALL "a.0=2 8 4 1 f\n", false, NULL);
        shared_is("a.0=65735546 1 7\n" ALL "a.0=2 8 9 1 f\n",
                  "a.0=65735546 2 7\n" ALL "a.0=2 8 9 2 f\n", false, "'f'");
        shared_is("a.0=65735546 1 7\n" ALL "a.0=2 8 9 1 f\n", "a.0=fe534d42 2 7\n" ALL, false,
                  "'f'");
        shared_is("a.0=fe534d42 1 7\n" ALL, "a.0=ef53 2 7\n" ALL "a.0=2 4 9 0 sub dir\n", false,
                  "'sub dir'");
        shared_is("a.0=65735546 1 7\n" ALL, "a.0=65735546 2 8\n" ALL, false, NULL);
        /* it changes while it is looked at */
        shared_is("a.0=65735546 1 7\n" ALL "a.0=1 8 9 1 f\na.0=1 8 9 2 f\n",
                  "a.0=65735546 2 7\n" ALL "a.0=2 8 9 5 f\n", false, NULL);
        shared_is("a.0=65735546 1 7\n" ALL "a.0=1 8 9 1 x\na.0=1 8 9 1 y\n",
                  "a.0=65735546 2 7\n" ALL, false, NULL);
        /* too many to list */
        shared_is("a.0=65735546 1 7\na.0=1 find /124\na.0=1 find /0\na.0=2 8 9 1 f\n",
                  "a.0=65735546 2 7\n" ALL "a.0=2 8 9 1 g\n", false, NULL);
        /* a single file; what was not, or wrongly, answered */
        shared_is("a.0=65735546 1 7\na.0=2 8 7 5 \n", "a.0=65735546 1 8\na.0=2 8 8 6 \n", false,
                  "size");
        shared_is("a.0=65735546 1 7\na.0=2 8 7 5 \n", "a.0=65735546 1 8\na.0=2 8 8 5 \n", false,
                  NULL);
        shared_is("a.0=ef53 5 7\n", "", true, NULL);
        shared_is("a.0=ef53 5 7\n", "a.0=\n", true, NULL);
        shared_is("a.0=6969 5 7\n" ALL "a.0=nonsense\na.0=2 8 x 1 f\n", "a.0=6969 5 7\n" ALL, false,
                  NULL);
#undef ALL
}

static void facts_of_a_host(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_facts f = { .lines = TS_LIST_INIT };

        UNIT_OK(ts_facts_ask(&f, "fs", "/var", &err));
        UNIT_OK(ts_facts_ask(&f, "path", "/srv", &err));
        UNIT_OK(ts_facts_ask(&f, "fs", "/var", &err));
        UNIT_OK(ts_facts_ask(&f, "path", "/new\nline", &err)); /* cannot be asked */
        CU_ASSERT_EQUAL(f.asked.n, 4);
        UNIT_OK(ts_facts_parse(&f, "uid=0\ntcp=a\nnonsense\ntcp=b=c\na.0=5 6 7\na.1=dir\nmemory_kb=12x\nend=yes\n", &err));
        CU_ASSERT_TRUE(ts_fact_is(&f, "uid", "0"));
        UNIT_STR(ts_fact(&f, "tcp", 1), "b=c");
        UNIT_STR(ts_fact(&f, "tcp", 2), NULL);
        UNIT_STR(ts_fact(&f, "tc", 0), NULL);
        UNIT_STR(ts_facts_answer(&f, "path", "/srv"), "dir");
        UNIT_STR(ts_facts_answer(&f, "fs", "/var"), "5 6 7");
        UNIT_STR(ts_facts_answer(&f, "fs", "/srv"), NULL);
        UNIT_STR(ts_facts_answer(&f, "path", "/new\nline"), NULL);
        CU_ASSERT_EQUAL(ts_fact_u64(&f, "memory_kb", 3), 3);
        ts_facts_clear(&f);
        UNIT_FAILS(ts_facts_parse(&f, "uid=0\n", &err), TS_EPROTO); /* cut short */
        ts_facts_clear(&f);
}

static void addresses_of_proc(void)
{
        CU_ASSERT_TRUE(ts_proc_address_is("0100007F", "127.0.0.1", false));
        CU_ASSERT_TRUE(ts_proc_address_is("0100007F:1F90", "127.0.0.1", false));
        CU_ASSERT_TRUE(ts_proc_address_is("7F000001", "127.0.0.1", true));
        CU_ASSERT_FALSE(ts_proc_address_is("0100007F", "127.0.0.2", false));
        CU_ASSERT_FALSE(ts_proc_address_is("0100007", "127.0.0.1", false));
        CU_ASSERT_FALSE(ts_proc_address_is("01x0007F", "127.0.0.1", false));
        CU_ASSERT_TRUE(ts_proc_address_is("0000000000000000FFFF00000100007F:1", "127.0.0.1",
                                          false)); /* a socket for both */
        CU_ASSERT_FALSE(ts_proc_address_is("0000000000000000000000000100007F", "127.0.0.1", false));
        CU_ASSERT_TRUE(ts_proc_address_is("00000000000000000000000001000000", "::1", false));
        CU_ASSERT_FALSE(ts_proc_address_is("0100007F", "::1", false));
        CU_ASSERT_FALSE(ts_proc_address_is(NULL, "::1", false));
        CU_ASSERT_FALSE(ts_proc_address_is("0100007F", NULL, false));
        CU_ASSERT_FALSE(ts_proc_address_is("0100007F", "nonsense", false));
}

/* ---- two hosts ---- */
#define FINE "uid=0\ncriu=4.1\ncriu_check=ok\nkernel=6.12.1\narch=x86_64\ncpu=flags : sse4_2 avx2\ncriu_conf=tcp-established\ncriu_conf=file-locks\n"

#define PODMAN .kind = TS_PODMAN, .v = { 5, 4, 2 }
#define DOCKER .kind = TS_DOCKER, .v = { 26, 1, 5 }, .api_version = (char[]){ "1.45" }, .experimental = true
#define DOCKER_28 .kind = TS_DOCKER, .v = { 28, 0, 1 }, .api_version = (char[]){ "1.48" }, .experimental = true

/* clang-format off */
static const struct {
        const char *code;
        const char *source, *target; /* facts before those of FINE: the first of a name counts */
        struct ts_engine_info s, d;
} differing[] = {
        { "engine-too-old",          "", "", { PODMAN }, { .kind = TS_PODMAN, .v = { 3, 4, 4 }, .version = (char[]){ "3.4.4" } } },
        { "engine-too-old",          "", "", { .kind = TS_DOCKER, .v = { 17, 6, 0 }, .api_version = (char[]){ "1.30" }, .experimental = true }, { DOCKER } },
        { "docker-restore-broken",   "", "", { DOCKER }, { DOCKER_28 } },
        { "docker-experimental-off", "", "", { .kind = TS_DOCKER, .v = { 26, 1, 5 }, .api_version = (char[]){ "1.45" } }, { DOCKER } },
        { "live-restore",            "", "", { DOCKER, .live_restore = true }, { DOCKER } },
        { "rootless",                "", "", { PODMAN }, { PODMAN, .rootless = true } },
        { "cgroup-version",          "", "", { PODMAN, .cgroup_version = (char[]){ "1" } }, { PODMAN, .cgroup_version = (char[]){ "2" } } },
        { "cgroup-manager",          "", "", { DOCKER, .cgroup_manager = (char[]){ "systemd" } }, { DOCKER, .cgroup_manager = (char[]){ "cgroupfs" } } },
        { "security-differs",        "", "", { PODMAN, .security = (char[]){ "selinux,seccomp" } }, { PODMAN, .security = (char[]){ "seccomp" } } },
        { "root-access",             "", "uid=1000\n",                     { PODMAN }, { PODMAN } },
        { "tools-missing",           "missing=tar\n", "",                  { PODMAN }, { PODMAN } },
        { "criu-check",              "", "criu_check=Error (x.c:1): no\n", { PODMAN }, { PODMAN } },
        { "criu-older",              "", "criu=3.17\n",                    { PODMAN }, { PODMAN } },
        { "architecture",            "", "arch=aarch64\n",                 { PODMAN }, { PODMAN } },
        { "cpu-features",            "", "cpu=flags : sse4_2\n",           { PODMAN }, { PODMAN } },
        { "kernel-older",            "", "kernel=6.1.0\n",                 { PODMAN }, { PODMAN } },
};
/* clang-format on */

static void give(struct ts_view *v, struct ts_end *e, const struct ts_engine_info *info, const char *said)
{
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *text = ts_fmt("%s" FINE "end=yes\n", said);

        e->info = info;
        v->e = e;
        UNIT_OK(ts_facts_parse(&v->facts, text, &err));
}

/* Every check of hosts and engines: it finds the one thing that is otherwise, and nothing else. */
static void hosts_that_differ(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(differing); i++) {
                struct ts_engine_info s = differing[i].s, d = differing[i].d;
                unsigned when = (s.kind == TS_DOCKER ? TS_ON_DOCKER : TS_ON_PODMAN);
                struct ts_endpoint ep = { .label = (char[]){ "there" }, .socket = (char[]){ "/run/engine.sock" } };
                ts_auto(ts_host) struct ts_host *host = NULL;
                ts_auto_err err = TS_ERR_INIT;
                struct ts_preflight p = { 0 };
                struct bench b;

                bench_init(&b);
                UNIT_OK(ts_host_local(&host, &err));
                b.m.src.host = b.m.dst.host = host;
                p.m = &b.m;
                b.m.engine = s.kind;
                b.m.src.ep = b.m.dst.ep = &ep;
                give(&p.src, &b.m.src, &s, differing[i].source);
                give(&p.dst, &b.m.dst, &d, differing[i].target);
                for (const struct ts_check *c = ts_checks; c->code && strcmp(c->code, "not-running") != 0; c++)
                        if (c->run && (c->when & when) && (c->when & TS_ON_LIVE))
                                c->run(&p);
                CU_ASSERT_EQUAL(b.findings.n, 1);
                for (size_t k = 0; k < b.findings.n; k++)
                        UNIT_STR(b.findings.v[k].code, differing[i].code);
                b.m.src.ep = b.m.dst.ep = NULL;
                b.m.src.info = b.m.dst.info = NULL;
                ts_facts_clear(&p.src.facts);
                ts_facts_clear(&p.dst.facts);
                bench_clear(&b);
        }
}

/* Of a container, where no lab has what it takes: an old Podman, a network of a plugin, an image that is gone, an engine's answer about another container that cannot be used. */
static void containers_that_cannot(void)
{
        static const char *const want[] = { "restart-policy", "container-unreadable", "image-unavailable", "network-driver" };
        struct ts_engine_info old = { .kind = TS_PODMAN, .v = { 5, 0, 3 } };
        struct ts_endpoint ep = { .label = (char[]){ "there" }, .socket = (char[]){ "/run/engine.sock" } };
        struct ts_network overlay = { .name = (char[]){ "mesh" }, .driver = (char[]){ "overlay" } }, *here = &overlay, *there = NULL;
        struct ts_network_use use = { .name = (char[]){ "mesh" } };
        struct ts_brief odd = { .id = (char[]){ "1" }, .name = (char[]){ "odd" }, .unreadable = (char[]){ "a NUL" } };
        struct ts_preflight p = { 0 };
        struct bench b;

        bench_init(&b);
        b.c.restart_policy = (char[]){ "always" };
        b.c.image_id = (char[]){ "sha256:1" };
        b.c.networks = &use;
        b.c.n_networks = 1;
        b.m.src.ep = b.m.dst.ep = &ep;
        b.m.src.info = b.m.dst.info = &old;
        p.m = &b.m;
        p.src.e = &b.m.src;
        p.dst.e = &b.m.dst;
        p.src.used = &here;
        p.dst.used = &there;
        p.dst.containers = (struct ts_briefs){ &odd, 1 };
        ts_check_restart_policy(&p);
        ts_check_unreadable(&p);
        ts_check_image(&p);
        ts_check_networks(&p);
        CU_ASSERT_EQUAL_FATAL(b.findings.n, TS_ARRAY_LEN(want));
        for (size_t i = 0; i < TS_ARRAY_LEN(want); i++)
                UNIT_STR(b.findings.v[i].code, want[i]);
        bench_clear(&b);
}

static CU_TestInfo tests[] = {
        UNIT(versions_compare_by_number),
        UNIT(docker_versions_that_cannot_restore),
        UNIT(processor_flags),
        UNIT(subnets_overlap),
        UNIT(subnets_hold_addresses),
        UNIT(malformed_subnets),
        UNIT(addresses_made_inside),
        UNIT(routes),
        UNIT(listening_sockets),
        UNIT(labels_of_supervisors),
        UNIT(criu_configuration),
        UNIT(the_users_word),
        UNIT(plan_without_a_word),
        UNIT(plan_with_words),
        UNIT(plan_refuses_what_it_does_not_know),
        UNIT(findings_and_skips),
        UNIT(codes_are_told_apart),
        UNIT(shared_or_not),
        UNIT(facts_of_a_host),
        UNIT(addresses_of_proc),
        UNIT(hosts_that_differ),
        UNIT(containers_that_cannot),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("preflight", tests)
