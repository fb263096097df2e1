/* api/docker_create.c, docker_network.c, podman_create.c: a container's description becomes a request for one like it. */
#include "tests/unit/api_fixture.h"
#include "tests/unit/unit.h"

#include "api/api_priv.h"

static struct ts_err err = TS_ERR_INIT;
static struct ts_list warnings;

static struct ts_json *body_of(const char *name, int minor, bool free_addresses)
{
        ts_auto(ts_json) struct ts_json *inspect = fixture(name);
        struct ts_json *body = NULL;
        struct ts_create c = { .name = "new", .image_ref = "img", .inspect = inspect, .extra_label = "tranship.migration=7", .free_addresses = free_addresses };
        ts_list_clear(&warnings);
        UNIT_OK(ts_docker_create_body(&c, minor, &body, &warnings, &err));
        return body;
}

/* What a path of the body must hold, as JSON; NULL: nothing there. */
struct want {
        const char *path, *json;
};

static void check(const struct ts_json *body, const struct want *wants, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct ts_json *at = ts_json_get(body, wants[i].path);
                ts_auto_free char *text = at ? ts_json_text(at, false) : NULL;
                if (!ts_streq0(text, wants[i].json))
                        (void)printf("\n    %s\n", wants[i].path);
                UNIT_STR(text, wants[i].json);
        }
}

static bool warned(const char *start)
{
        for (size_t i = 0; i < warnings.n; i++)
                if (ts_starts(warnings.v[i], start))
                        return true;
        return false;
}

#define ANON "9114883b3ec842ead2003bf5d7f86706bd9163585e554fbfe1ae458ed067efe3"
#define ANON2 "ec7ffc05b8bd1e656b3bf2e59e5975e6d4352a64346e0a99dc6ee8bbed024c4b"

static const struct want recorded[] = {
        { "Image", "\"img\"" },
        { "Hostname", "\"ee27756a1530\"" },
        { "User", "\"0:0\"" },
        { "WorkingDir", "\"/tmp\"" },
        { "Cmd", "[\"sh\",\"-c\",\"while true; do sleep 1; done\"]" },
        { "Entrypoint", "[\"\"]" }, /* it was reset */
        { "Env", "[\"E1=v1\",\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]" },
        { "StopSignal", "\"SIGINT\"" },
        { "StopTimeout", "7" },
        { "Healthcheck", "{\"Test\":[\"CMD-SHELL\",\"true\"]}" },
        { "Volumes", "{\"/anon\":{}}" },
        { "ExposedPorts", "{\"80/tcp\":{},\"9000/tcp\":{},\"99/tcp\":{}}" },
        { "MacAddress", NULL },
        { "OnBuild", NULL },
        { "HostConfig.RestartPolicy", "{\"Name\":\"no\"}" },
        { "HostConfig.AutoRemove", NULL },
        { "HostConfig.PublishAllPorts", "true" },
        { "HostConfig.VolumesFrom", NULL },
        { "HostConfig.Binds", "[\"/tmp:/hosttmp:ro\",\"dvol:/data:z,nocopy\"]" },
        { "HostConfig.Mounts", "[{\"Type\":\"volume\",\"Target\":\"/anon2\",\"Source\":\"" ANON2 "\",\"VolumeOptions\":{\"NoCopy\":true}},"
                               "{\"Type\":\"tmpfs\",\"Target\":\"/tm\"},"
                               "{\"Type\":\"volume\",\"Source\":\"" ANON "\",\"Target\":\"/anon\",\"ReadOnly\":false,\"VolumeOptions\":{\"NoCopy\":true}}]" },
        { "HostConfig.Tmpfs", "{\"/t\":\"\"}" },
        { "HostConfig.PortBindings", "{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8081\"}],\"9000/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"32768\"}],"
                                     "\"99/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"32769\"}]}" },
        { "HostConfig.CapAdd", "[\"SYS_PTRACE\"]" },
        { "HostConfig.CapDrop", "[\"CHOWN\"]" },
        { "HostConfig.Ulimits", "[{\"Name\":\"nofile\",\"Hard\":2000,\"Soft\":1000}]" },
        { "HostConfig.Devices", "[{\"PathOnHost\":\"/dev/null\",\"PathInContainer\":\"/dev/nul2\",\"CgroupPermissions\":\"rwm\"}]" },
        { "HostConfig.ShmSize", "33554432" },
        { "HostConfig.Dns", "[\"9.9.9.9\"]" },
        { "HostConfig.DnsSearch", NULL },
        { "HostConfig.ExtraHosts", "[\"hh:1.2.3.4\"]" },
        { "HostConfig.SecurityOpt", "[\"no-new-privileges\"]" },
        { "HostConfig.OomScoreAdj", "100" },
        { "HostConfig.Init", "true" },
        { "HostConfig.IpcMode", "\"private\"" },
        { "HostConfig.CgroupnsMode", "\"private\"" },
        { "HostConfig.Runtime", "\"runc\"" },
        { "HostConfig.LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}}" },
        { "HostConfig.NetworkMode", "\"dnet\"" },
        { "NetworkingConfig", "{\"EndpointsConfig\":{\"dnet\":{\"IPAMConfig\":{\"IPv4Address\":\"10.99.8.5\"},\"Aliases\":[\"web\"],\"MacAddress\":\"02:42:0a:63:08:05\"}}}" },
};

static void everything_of_a_recorded_container(void)
{
        ts_auto(ts_json) struct ts_json *body = body_of("docker-26.1.5-inspect", 45, false);
        check(body, recorded, TS_ARRAY_LEN(recorded));
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "Labels"), "tranship.migration"), "", NULL), "7");
        UNIT_STR(ts_json_str(body, "Labels.a", NULL), "b");
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "HostConfig.Annotations"), "x.y"), "", NULL), "z");
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "HostConfig.Sysctls"), "net.ipv4.ip_unprivileged_port_start"), "", NULL), "81");
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(body, "HostConfig.MaskedPaths")), 11);
        CU_ASSERT_EQUAL(warnings.n, 0);
}

/* The same container, made on an old engine. */
static void old_target(void)
{
        ts_auto(ts_json) struct ts_json *body = body_of("docker-26.1.5-inspect-v1.32", 32, false);
        static const struct want wants[] = {
                { "MacAddress", "\"02:42:0a:63:08:05\"" },
                { "HostConfig.Annotations", NULL },
                { "HostConfig.CgroupnsMode", NULL },
                { "HostConfig.MaskedPaths", NULL },
                { "NetworkingConfig", "{\"EndpointsConfig\":{\"dnet\":{\"IPAMConfig\":{\"IPv4Address\":\"10.99.8.5\"},\"Aliases\":[\"web\"]}}}" }, /* the short ID is gone */
        };
        check(body, wants, TS_ARRAY_LEN(wants));
        CU_ASSERT_TRUE(warned("Annotations: ") && warned("CgroupnsMode: ") && warned("MaskedPaths: "));
}

static const struct want old_source[] = {
        { "Hostname", "\"b750fe79269d\"" },
        { "Domainname", "\"example.com\"" },
        { "User", "\"1000:1000\"" },
        { "Entrypoint", "[\"/entry.sh\"]" },
        { "StopTimeout", "10" },
        { "ArgsEscaped", NULL },
        { "HostConfig.Memory", "536870912" },
        { "HostConfig.MemorySwap", "-1" },
        { "HostConfig.MemorySwappiness", "0" },
        { "HostConfig.PidsLimit", "200" },
        { "HostConfig.CpusetCpus", "\"0,1\"" },
        { "HostConfig.NanoCpus", "500000" },
        { "HostConfig.CpuQuota", "50000" },
        { "HostConfig.BlkioWeightDevice", "[{\"Path\":\"/dev/sda\",\"Weight\":200}]" },
        { "HostConfig.DeviceCgroupRules", "[\"c 13:* rwm\"]" },
        { "HostConfig.StorageOpt", "{\"size\":\"120G\"}" },
        { "HostConfig.GroupAdd", "[\"newgroup\"]" },
        { "HostConfig.Links", "[\"redis:cache\"]" },
        { "HostConfig.Binds", "[\"appdata:/data:z,nocopy\",\"/srv/conf:/etc/app:ro\"]" },
        { "HostConfig.PortBindings", "{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}],\"443/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"32770\"}]}" },
        { "HostConfig.NetworkMode", "\"backend\"" },
};

static void old_source_to_old_and_new(void)
{
        ts_auto(ts_json) struct ts_json *old = body_of("docker-17.09-documented-inspect", 32, false);
        check(old, old_source, TS_ARRAY_LEN(old_source));
        static const struct want only_old[] = { { "HostConfig.KernelMemory", "52428800" }, { "MacAddress", "\"02:42:0a:00:09:07\"" } };
        check(old, only_old, TS_ARRAY_LEN(only_old));
        CU_ASSERT_TRUE(warned("Links: ") && !warned("KernelMemory"));
        ts_auto(ts_json) struct ts_json *new = body_of("docker-17.09-documented-inspect", 48, false);
        check(new, old_source, TS_ARRAY_LEN(old_source));
        static const struct want only_new[] = {
                { "HostConfig.KernelMemory", NULL },
                { "MacAddress", NULL },
                { "NetworkingConfig.EndpointsConfig.backend.MacAddress", "\"02:42:0a:00:09:07\"" },
                { "NetworkingConfig.EndpointsConfig.backend.Aliases", "[\"web1\"]" },
        };
        check(new, only_new, TS_ARRAY_LEN(only_new));
        CU_ASSERT_TRUE(warned("KernelMemory: "));
        const struct ts_json *mounts = ts_json_get(new, "HostConfig.Mounts"); /* anonymous, and from another container */
        CU_ASSERT_EQUAL_FATAL(ts_json_len(mounts), 2);
        UNIT_STR(ts_json_str(ts_json_at(mounts, 0), "Target", NULL), "/cache");
        CU_ASSERT_EQUAL(strlen(ts_json_str(ts_json_at(mounts, 0), "Source", "")), 64);
        UNIT_STR(ts_json_str(ts_json_at(mounts, 1), "Source", NULL), "/srv/helper");
        UNIT_STR(ts_json_str(ts_json_at(mounts, 1), "BindOptions.Propagation", NULL), "rslave");
        CU_ASSERT_TRUE(ts_json_bool(ts_json_at(mounts, 1), "ReadOnly", false));
}

static void joined_network(void)
{
        ts_auto(ts_json) struct ts_json *body = body_of("docker-26.1.5-inspect-joined", 45, false);
        static const struct want wants[] = { { "Hostname", NULL }, { "ExposedPorts", NULL }, { "HostConfig.PortBindings", NULL }, { "NetworkingConfig", NULL } };
        check(body, wants, TS_ARRAY_LEN(wants));
        CU_ASSERT_TRUE(ts_starts(ts_json_str(body, "HostConfig.NetworkMode", ""), "container:"));
}

/* ---- networks ---- */

static const struct {
        const char *inspect, *first, *mac; /* of that network */
        const char *endpoint;              /* API 1.44 */
} networks[] = {
        { "{\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\",\"MacAddress\":\"02:42:ac:11:00:02\",\"Aliases\":[\"x\"]}}}}",
          "bridge", NULL, "{}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"bridge\"},\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\",\"MacAddress\":\"02:aa:ac:11:00:02\"}}}}", "bridge",
          "02:aa:ac:11:00:02", "{\"MacAddress\":\"02:aa:ac:11:00:02\"}" },
        { "{\"Config\":{\"MacAddress\":\"02:42:ac:11:00:02\"},\"HostConfig\":{\"NetworkMode\":\"bridge\"},\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\","
          "\"MacAddress\":\"02:42:ac:11:00:02\"}}}}",
          "bridge", "02:42:ac:11:00:02", "{\"MacAddress\":\"02:42:ac:11:00:02\"}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"host\"},\"NetworkSettings\":{\"Networks\":{\"host\":{}}}}", "host", NULL, "{}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"none\"},\"NetworkSettings\":{\"Networks\":{\"none\":{}}}}", "none", NULL, "{}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"container:abc\"},\"NetworkSettings\":{\"Networks\":{}}}", "container:abc", NULL, "{}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"0123456789ab\"},\"NetworkSettings\":{\"Networks\":{\"a\":{\"NetworkID\":\"ff\"},\"b\":{\"NetworkID\":\"0123456789abcdef\",\"IPAddress\":\"10.0.0.2\","
          "\"GlobalIPv6Address\":\"fd00::2\"}}}}",
          "b", NULL, "{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.2\",\"IPv6Address\":\"fd00::2\"}}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"gone\"},\"NetworkSettings\":{\"Networks\":{\"left\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.9\"},\"IPAddress\":\"\",\"DriverOpts\":{\"k\":\"v\"},"
          "\"Links\":[\"l\"]}}}}",
          "left", NULL, "{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.9\"},\"Links\":[\"l\"],\"DriverOpts\":{\"k\":\"v\"}}" },
        { "{\"HostConfig\":{\"NetworkMode\":\"gone\"},\"NetworkSettings\":{}}", "gone", NULL, "{}" },
};

static void places_on_networks(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(networks); i++) {
                ts_auto(ts_json) struct ts_json *inspect = NULL;
                UNIT_OK(ts_json_parse(networks[i].inspect, strlen(networks[i].inspect), 0, &inspect, &err));
                ts_auto_free char *first = ts_docker_first_network(inspect);
                UNIT_STR(first, networks[i].first);
                UNIT_STR(ts_docker_mac(inspect, first), networks[i].mac);
                ts_auto(ts_json) struct ts_json *endpoint = ts_docker_endpoint(inspect, first, 44, false);
                ts_auto_free char *text = ts_json_text(endpoint, false);
                UNIT_STR(text, networks[i].endpoint);
        }
}

static void addresses_may_be_left_free(void)
{
        ts_auto(ts_json) struct ts_json *inspect = fixture("docker-26.1.5-inspect");
        ts_auto(ts_json) struct ts_json *kept = ts_docker_endpoint(inspect, "dnet2", 45, false), *free_one = ts_docker_endpoint(inspect, "dnet2", 45, true);
        UNIT_STR(ts_json_str(kept, "IPAMConfig.IPv4Address", NULL), "172.18.0.2");
        UNIT_STR(ts_json_str(free_one, "IPAMConfig.IPv4Address", NULL), NULL);
        UNIT_STR(ts_json_str(ts_json_at(ts_json_get(kept, "Aliases"), 0), "", NULL), "second");
        CU_ASSERT_TRUE(ts_docker_mac_is_made("02:42:AC:12:00:02", "172.18.0.2"));
        CU_ASSERT_FALSE(ts_docker_mac_is_made("02:42:ac:12:00:03", "172.18.0.2"));
        CU_ASSERT_FALSE(ts_docker_mac_is_made("02:42:ac:12:00:03", "nonsense"));
}

/* Kept once, an address looks as if the user had asked for it: the label tells the next move. */
static void chosen_addresses_are_marked(void)
{
        ts_auto(ts_json) struct ts_json *inspect = fixture("docker-26.1.5-inspect"), *body = NULL,
                                        *again = NULL;
        struct ts_create c = { .name = "n", .image_ref = "i", .inspect = inspect };
        struct ts_json *e, *labels;
        UNIT_OK(ts_docker_create_body(&c, 45, &body, NULL, &err));
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "Labels"), "tranship.chosen.dnet2"),
                             "", NULL),
                 "172.18.0.2");
        labels = ts_json_get(inspect, "Config.Labels");
        CU_ASSERT_EQUAL(ts_json_set_str(labels, "tranship.chosen.dnet2", "172.18.0.2"), 0);
        e = ts_json_child(ts_json_member(ts_json_get(inspect, "NetworkSettings.Networks"), "dnet2"),
                          "IPAMConfig");
        CU_ASSERT_EQUAL(ts_json_set_str(e, "IPv4Address", "172.18.0.2"), 0);
        CU_ASSERT_TRUE(ts_docker_address_chosen(inspect, "dnet2"));
        ts_auto_list freed = TS_LIST_INIT;
        UNIT_OK(ts_list_add(&freed, "dnet2", &err));
        c.free_networks = &freed;
        UNIT_OK(ts_docker_create_body(&c, 45, &again, NULL, &err));
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(again, "Labels"), "tranship.chosen.dnet2"),
                             "", NULL),
                 NULL);
        ts_auto(ts_json) struct ts_json *endpoint = ts_docker_endpoint(inspect, "dnet2", 45, true);
        UNIT_STR(ts_json_str(endpoint, "IPAMConfig.IPv4Address", NULL), NULL);
        CU_ASSERT_EQUAL(ts_json_set_str(labels, "tranship.chosen.dnet2", "172.18.0.3"),
                        0); /* the user has chosen since */
        CU_ASSERT_FALSE(ts_docker_address_chosen(inspect, "dnet2"));
}

static void members_this_program_does_not_know(void)
{
        static const char text[] = "{\"Config\":{\"Future\":{\"a\":1},\"Image\":\"x\"},\"HostConfig\":{\"NewLimit\":5,\"NewNothing\":null,\"Memory\":0}}";
        ts_auto(ts_json) struct ts_json *inspect = NULL, *body = NULL;
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &inspect, &err));
        struct ts_create c = { .name = "n", .image_ref = "i", .inspect = inspect };
        UNIT_OK(ts_docker_create_body(&c, 45, &body, NULL, &err));
        static const struct want wants[] = {
                { "Future", "{\"a\":1}" }, { "HostConfig.NewLimit", "5" }, { "HostConfig.NewNothing", NULL }, { "HostConfig.Memory", NULL }, { "Labels", "{}" }, { "Image", "\"i\"" },
        };
        check(body, wants, TS_ARRAY_LEN(wants));
        struct ts_json *none = NULL;
        UNIT_FAILS(ts_docker_create_body(&(struct ts_create){ .name = "n", .image_ref = "i" }, 45, &none, NULL, &err), TS_EUSAGE);
        ts_auto(ts_json) struct ts_json *empty = ts_json_object();
        UNIT_FAILS(ts_docker_create_body(&(struct ts_create){ .name = "n", .image_ref = "i", .inspect = empty }, 45, &none, NULL, &err), TS_EPROTO);
}

/* ---- Podman ---- */

static const struct want podman_wants[] = {
        { "name", "\"new\"" },
        { "image", "\"img\"" },
        { "restart_policy", "\"no\"" },
        { "remove", "false" },
        { "hostname", "\"richhost\"" },
        { "entrypoint", "[\"/bin/sh\",\"-c\"]" },
        { "work_dir", "\"/tmp\"" },
        { "stop_signal", "2" },
        { "stop_timeout", "7" },
        { "terminal", "true" },
        { "healthconfig", "{\"Test\":[\"CMD-SHELL\",\"true\"],\"Interval\":30000000000,\"Timeout\":30000000000,\"Retries\":3}" },
        { "cap_add", "[\"CAP_SYS_PTRACE\"]" },
        { "cap_drop", "[\"CAP_CHOWN\"]" },
        { "oom_score_adj", "100" },
        { "dns_server", "[\"9.9.9.9\"]" },
        { "dns_search", "[\"s.example\"]" },
        { "dns_option", "[\"ndots:3\"]" },
        { "hostadd", "[\"hh:1.2.3.4\"]" },
        { "read_only_filesystem", "true" },
        { "no_new_privileges", "true" },
        { "oci_runtime", "\"runc\"" },
        { "devices", "[{\"path\":\"/dev/null:/dev/nul2\",\"type\":\"\",\"major\":0,\"minor\":0}]" },
        { "r_limits", "[{\"type\":\"NOFILE\",\"soft\":1000,\"hard\":2000},{\"type\":\"NPROC\",\"soft\":96365,\"hard\":96365}]" },
        { "log_configuration", "{\"driver\":\"k8s-file\",\"size\":1000000}" },
        { "Networks.labnet.aliases", "[\"al1\"]" },
        { "Networks.labnet.static_ips", "[\"10.99.9.77\"]" },
        { "Networks.labnet.static_mac", "\"02:00:00:00:09:77\"" },
        { "utsns", "{\"nsmode\":\"private\"}" },
};

static void podman_specification_is_completed(void)
{
        ts_auto(ts_json) struct ts_json *spec = fixture("podman-5.4.2-generate-spec"), *inspect = fixture("podman-5.4.2-inspect-v5"), *body = NULL, *bare = NULL;
        struct ts_create c = { .name = "new", .image_ref = "img", .spec = spec, .inspect = inspect, .extra_label = "tranship.migration=7" };
        ts_list_clear(&warnings);
        UNIT_OK(ts_podman_create_body(NULL, &c, &body, &warnings, &err));
        check(body, podman_wants, TS_ARRAY_LEN(podman_wants));
        CU_ASSERT_EQUAL(warnings.n, 0);
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "annotations"), "x.y"), "", NULL), "z");
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(body, "annotations")), 1);
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "sysctl"), "net.ipv4.ip_unprivileged_port_start"), "", NULL), "81");
        UNIT_STR(ts_json_str(ts_json_member(ts_json_get(body, "labels"), "tranship.migration"), "", NULL), "7");
        UNIT_STR(ts_json_str(spec, "name", NULL), "rich-clone"); /* untouched */
        c.inspect = NULL;
        UNIT_OK(ts_podman_create_body(NULL, &c, &bare, &warnings, &err));
        CU_ASSERT_TRUE(warned("without the source's inspect answer"));
        c.spec = NULL;
        struct ts_json *none = NULL;
        UNIT_FAILS(ts_podman_create_body(NULL, &c, &none, NULL, &err), TS_EUSAGE);
}

static const struct {
        const char *inspect;
        struct want wants[3];
} podman_forms[] = {
        { "{\"HostConfig\":{\"NetworkMode\":\"host\",\"PidMode\":\"host\",\"UTSMode\":\"host\"},\"Config\":{\"Hostname\":\"h3\"}}",
          { { "netns", "{\"nsmode\":\"host\"}" }, { "pidns", "{\"nsmode\":\"host\"}" }, { "hostname", NULL } } },
        { "{\"HostConfig\":{\"NetworkMode\":\"container:abc\",\"IpcMode\":\"container:abc\",\"Dns\":[\"9.9.9.9\"]}}",
          { { "netns", "{\"nsmode\":\"container\",\"value\":\"abc\"}" }, { "shm_size", NULL }, { "dns_server", NULL } } },
        { "{\"HostConfig\":{\"NetworkMode\":\"ns:/run/netns/x\",\"UTSMode\":\"private\"},\"Config\":{\"Hostname\":\"h\",\"StopSignal\":15}}",
          { { "netns", "{\"nsmode\":\"path\",\"value\":\"/run/netns/x\"}" }, { "hostname", "\"h\"" }, { "stop_signal", "15" } } },
        { "{\"Config\":{\"StopSignal\":\"SIGRTMIN+3\",\"HealthcheckOnFailureAction\":\"restart\"},\"HostConfig\":{\"Ulimits\":[{\"Name\":\"RLIMIT_CORE\",\"Soft\":0,\"Hard\":-1}]}}",
          { { "stop_signal", "37" },
            { "health_check_on_failure_action", "3" },
            { "r_limits", "[{\"type\":\"CORE\",\"soft\":0,\"hard\":18446744073709551615}]" } } },
        { "{\"StaticDir\":\"/s\",\"HostConfig\":{\"LogConfig\":{\"Type\":\"json-file\",\"Path\":\"/else/where.log\",\"Tag\":\"t\",\"Size\":\"1.5kB\"},"
          "\"SecurityOpt\":[\"seccomp=unconfined\",\"unmask=all\"]}}",
          { { "log_configuration", "{\"options\":{\"tag\":\"t\"},\"driver\":\"json-file\",\"path\":\"/else/where.log\",\"size\":1500}" },
            { "seccomp_profile_path", "\"unconfined\"" },
            { "unmask", "[\"ALL\"]" } } },
};

static void podman_forms_of_settings(void)
{
        static const char spec_text[] = "{\"shm_size\":1,\"portmappings\":[],\"Networks\":{}}";
        for (size_t i = 0; i < TS_ARRAY_LEN(podman_forms); i++) {
                ts_auto(ts_json) struct ts_json *spec = NULL, *inspect = NULL, *body = NULL;
                UNIT_OK(ts_json_parse(spec_text, strlen(spec_text), 0, &spec, &err));
                UNIT_OK(ts_json_parse(podman_forms[i].inspect, strlen(podman_forms[i].inspect), 0, &inspect, &err));
                struct ts_create c = { .name = "n", .image_ref = "i", .spec = spec, .inspect = inspect };
                UNIT_OK(ts_podman_create_body(NULL, &c, &body, NULL, &err));
                check(body, podman_forms[i].wants, TS_ARRAY_LEN(podman_forms[i].wants));
        }
        ts_list_clear(&warnings);
}

static CU_TestInfo tests[] = {
        UNIT(everything_of_a_recorded_container),
        UNIT(old_target),
        UNIT(old_source_to_old_and_new),
        UNIT(joined_network),
        UNIT(places_on_networks),
        UNIT(addresses_may_be_left_free),
        UNIT(chosen_addresses_are_marked),
        UNIT(members_this_program_does_not_know),
        UNIT(podman_specification_is_completed),
        UNIT(podman_forms_of_settings),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("api_docker_create", tests)
