// Puts the page together: each part gets what the feed says of it.

import {Changes, drawFigures} from './changes.js';
import {Chat} from './chat.js';
import {ClusterPicture} from './cluster_picture.js';
import {by} from './dom.js';
import {ExpertLoads} from './expert_loads.js';
import {ExpertMaps} from './expert_maps.js';
import {follow} from './feed.js';
import {Latency} from './latency.js';
import {Placement} from './placement.js';
import {Rates} from './rates.js';
import {number} from './text.js';
import {TokenWay} from './token_way.js';
import {TopBar} from './top_bar.js';
import {Traffic} from './traffic.js';

const loads = new ExpertLoads(), placement = new Placement(), rates = new Rates();
const latency = new Latency(), tokenWay = new TokenWay(), topBar = new TopBar(), chat = new Chat(), picture = new ClusterPicture(), maps = new ExpertMaps(loads, placement), traffic = new Traffic(), changes = new Changes();
let lastMs = 0;       // the router's clock at the newest look
let newRows = null;   // came just before a look, which says when

const take = {
  facts(facts) {
    loads.facts(facts);
    chat.facts(facts);
    tokenWay.facts(facts);
    topBar.facts(facts);
  },
  placement(event) {
    placement.take(event);
    maps.layers();
  },
  experts_all(event) {
    loads.takeAll(event);
    maps.draw();
  },
  experts(event) { newRows = event; },
  cluster(cluster) {
    if (cluster.now_ms < lastMs) traffic.clear();
    if (newRows) {
      loads.takeNew(newRows, Math.max(0.2, (cluster.now_ms - lastMs) / 1000));
      maps.draw();
    }
    newRows = null;
    lastMs = cluster.now_ms;
    rates.take(cluster);
    topBar.cluster(cluster);
    picture.show(cluster, rates);
    traffic.take(cluster, rates);
    changes.cluster(cluster);
    const {requests} = cluster;
    drawFigures(by('figures'), [['tokens/s', number(rates.tokens)], ['running', requests.running], ['answered', requests.accepted - requests.running - requests.failed - requests.cancelled],
      ...(requests.refused ? [['refused', requests.refused]] : []), ...(requests.failed ? [['failed', requests.failed]] : [])]);
  },
  latencies(histograms) { latency.take(histograms, lastMs); },
  changes(list) { changes.take(list); },
};

follow((name, value) => take[name]?.(value), (state, why) => topBar.state(state, why));
