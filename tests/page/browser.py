"""The page in a headless Chromium, and a cluster that knows its HTTP port."""
import json, os, re, shutil, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
import local_cluster
from local_cluster import expect, wait_until
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


class Cluster(local_cluster.Cluster):
    def __enter__(self):
        super().__enter__()
        self.http, self.metrics = (re.search(rf'^{name} (\S+)$', self.said(), re.M)[1] for name in ('http', 'metrics'))
        return self


class Page:
    """A tab of its own at the router's page; a context manager."""
    def __init__(self, address, width=1440, height=1000, dark=False):
        self.address, self.width, self.height, self.dark = address, width, height, dark

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix='atoll_page_')
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which('chromium')
        for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--disable-background-networking',
                         '--disable-component-update', '--no-first-run', '--force-color-profile=srgb', f'--user-data-dir={self.profile}', f'--window-size={self.width},{self.height}'):
            options.add_argument(argument)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which('chromedriver')))
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {'width': self.width, 'height': self.height, 'deviceScaleFactor': 1, 'mobile': self.width < 600})
        self.driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [{'name': 'prefers-color-scheme', 'value': 'dark' if self.dark else 'light'}]})
        self.driver.get('about:blank')
        for log in ('browser', 'performance'): self.driver.get_log(log)  # the empty tab's own
        self.driver.get(f'http://{self.address}/')
        return self

    def __exit__(self, *_):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def find(self, selector): return self.driver.find_element(By.CSS_SELECTOR, selector)
    def all(self, selector): return self.driver.find_elements(By.CSS_SELECTOR, selector)
    def text(self, selector): return self.js('return document.querySelector(arguments[0])?.textContent ?? ""', selector)
    def js(self, script, *arguments): return self.driver.execute_script(script, *arguments)

    def wait(self, condition, seconds, text):
        return wait_until(condition, seconds, f'{text}; the page says {self.text("body")[:300]!r}')

    def wait_live(self, seconds=15):
        self.wait(lambda: self.text('#state') == 'ready', seconds, 'the page shows a ready cluster')
        self.wait(lambda: self.all('[data-node]'), 5, 'nodes are drawn')

    def set_field(self, selector, value):
        field = self.find(selector)
        self.js('arguments[0].closest("details")?.setAttribute("open", "")', field)
        field.clear()
        field.send_keys(str(value))

    def chat(self, text, seconds=60):
        """Says something; the answer's text when it is whole."""
        before = len(self.all('.bubble.assistant'))
        self.find('#chat-input').send_keys(text, Keys.ENTER)
        def answered():
            bubbles = self.all('.bubble.assistant')
            return len(bubbles) > before and bubbles[-1].find_elements(By.CSS_SELECTOR, '.facts')
        self.wait(answered, seconds, 'an answer')
        failed = self.all('.facts.bad')
        expect(not failed, f'the chat failed: {failed and failed[-1].text}')
        return self.js('return [...document.querySelectorAll(".bubble.assistant .said")].at(-1).textContent')

    def read_cell(self, canvas, row, column):
        """What the map says of a cell that the arrow keys have gone to."""
        keys = [Keys.HOME] + [Keys.ARROW_UP] * 70 + [Keys.ARROW_DOWN] * row + [Keys.ARROW_RIGHT] * column
        self.js('arguments[0].focus({preventScroll: true})', self.find(canvas))
        self.find(canvas).send_keys(*keys)
        return self.text(f'{canvas} + .plot-reading')

    def console_errors(self):
        return [entry['message'] for entry in self.driver.get_log('browser') if entry['level'] in ('SEVERE', 'WARNING')]

    def expect_no_errors(self):
        errors = self.console_errors()
        expect(errors == [], errors)

    def requested(self):
        """Every URL that the tab has asked for, as the browser's own log has them."""
        urls = []
        for entry in self.driver.get_log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] == 'Network.requestWillBeSent': urls.append(message['params']['request']['url'])
        return [url for url in urls if not url.startswith(('data:', 'chrome:'))]
