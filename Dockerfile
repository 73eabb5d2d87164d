# One process of audiostream, with all its extras. compose.yaml runs three.
FROM python:3.13-slim
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY audiostream audiostream
RUN pip install --no-cache-dir '.[all]' \
    && useradd --system --uid 10001 --home-dir /var/lib/audiostream audiostream \
    && install --directory --owner=audiostream --mode=0700 /var/lib/audiostream
WORKDIR /var/lib/audiostream
USER audiostream
ENV AUDIOSTREAM_MEDIA=/media AUDIOSTREAM_STATE=/var/lib/audiostream/state.sqlite3
VOLUME /var/lib/audiostream
EXPOSE 3000
ENTRYPOINT ["python", "-m", "audiostream"]
