"""Apache RocketMQ with LiteTopics: name server, broker and cluster-mode proxy, three processes. (The
proxy inside the broker process does not serve lite topics in 5.5.)"""

import json
import subprocess
import time

from .peer import DURABLE, PROCESS, Peer, free_port, listens

PACKAGE = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>peers</groupId><artifactId>rocketmq</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = (
    "<dependency><groupId>org.apache.rocketmq</groupId>"
    "<artifactId>rocketmq-{part}</artifactId><version>{version}</version></dependency>"
)
TOPIC = "bench"
GROUP = "consumers"
CLUSTER = "yardstick"
# Its own start scripts ask for 8 GiB for the broker; the machine has to hold the other side too.
BROKER_HEAP = ["-Xms2g", "-Xmx4g"]
# It takes no message when nine tenths of the disk are used, whoever uses them.
BROKER_DISK = ["-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99", "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98"]
PROXY_HEAP = ["-Xms512m", "-Xmx1g"]
NAMESRV_HEAP = ["-Xms128m", "-Xmx256m"]
ADMIN_TRIES = 5


class RocketMq(Peer):
    name = "rocketmq"
    version = "5.5.0"
    protocol = "rocketmq"
    warmup_seconds_min = 20
    # With more it refuses so many sends that a run ends.
    in_flight_max = {"density": 64, "deliver": 64}
    settings = {DURABLE: "flushDiskType=SYNC_FLUSH", PROCESS: "flushDiskType=ASYNC_FLUSH"}
    flags = "storeType=defaultRocksDB, enableLmq, enableMultiDispatch; heaps 4 GiB broker, 1 GiB proxy"

    def fetch(self):
        parts = ["namesrv", "broker", "proxy", "tools"]
        dependencies = "".join(DEPENDENCY.format(part=part, version=self.version) for part in parts)
        (self.home / "pom.xml").write_text(PACKAGE.format(dependencies=dependencies))
        self.tool("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")

    def launch(self, durability):
        self.namesrv = f"127.0.0.1:{free_port()}"
        self.broker = f"127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{free_port()}"
        self.write_settings(self.settings[durability])
        self.java(NAMESRV_HEAP, "namesrv.NamesrvStartup", "-c", self.folder / "namesrv.conf")
        self.until(lambda: listens(self.namesrv), "has no name server")
        self.java(BROKER_HEAP + BROKER_DISK, "broker.BrokerStartup", "-c", self.folder / "broker.conf")
        self.until(lambda: listens(self.broker), "has no broker")
        if not (self.folder / "made").exists():
            self.make_topic_and_group()
        self.java(PROXY_HEAP, "proxy.ProxyStartup", "-n", self.namesrv, "-pc", self.folder / "proxy.json")

    def write_settings(self, flush):
        port = self.namesrv.rsplit(":", 1)[1]
        (self.folder / "namesrv.conf").write_text(f"listenPort={port}\n")
        (self.folder / "broker.conf").write_text("\n".join([
            # Both become topics; the workloads have another.
            f"brokerClusterName={CLUSTER}", f"brokerName={CLUSTER}", "brokerId=0", "brokerIP1=127.0.0.1",
            f"listenPort={self.broker.rsplit(':', 1)[1]}", f"haListenPort={free_port()}",
            f"namesrvAddr={self.namesrv}", f"storePathRootDir={self.folder}/store",
            f"storePathCommitLog={self.folder}/store/commitlog",
            flush, "storeType=defaultRocksDB", "enableLmq=true", "enableMultiDispatch=true",
            # Beyond what the workloads ask for, so that no quota is measured.
            "maxLmqConsumeQueueNum=20000000", "maxLiteSubscriptionCount=20000000",
            "diskMaxUsedSpaceRatio=95",
        ]) + "\n")
        (self.folder / "proxy.json").write_text(json.dumps({
            "rocketMQClusterName": CLUSTER, "proxyMode": "CLUSTER", "namesrvAddr": self.namesrv,
            "grpcServerPort": int(self.address.rsplit(":", 1)[1]), "remotingListenPort": free_port(),
        }))

    def java(self, options, main, *arguments):
        self.spawn(*self.java_command(options, main), *arguments, ROCKETMQ_HOME=self.folder)

    def java_command(self, options, main):
        return ["java", *options, f"-Duser.home={self.folder}", f"-Drmq.logback.folder={self.folder}",
                "-cp", self.home / "lib" / "*", f"org.apache.rocketmq.{main}"]

    def make_topic_and_group(self):
        self.admin("updateTopic", "-b", self.broker, "-t", TOPIC, "-r", "8", "-w", "8", "-a", "+message.type=LITE")
        self.admin("updateSubGroup", "-b", self.broker, "-g", GROUP, "-o", "true",
                   "--attributes", f"+lite.bind.topic={TOPIC},+lite.sub.client.quota=10000000")
        # They last: a restart is not to be measured with the administrator's tool in it.
        (self.folder / "made").touch()

    def admin(self, *command):
        """The administrator's tool ends well even when it fails, so its words are read."""
        said = ""
        for _ in range(ADMIN_TRIES):
            run = subprocess.run(
                [*map(str, self.java_command(["-Xmx256m"], "tools.command.MQAdminStartup")), *command, "-n", self.namesrv],
                capture_output=True, text=True, cwd=self.folder, env={"ROCKETMQ_HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            )
            said = run.stdout + run.stderr
            if "success" in said:
                return
            time.sleep(1)
        raise RuntimeError(f"rocketmq: {' '.join(command)}: {said[:600]}")
