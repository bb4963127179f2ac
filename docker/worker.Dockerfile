# A worker for Beam runners that start containers (Dataflow; Flink and Spark with --environment_type=DOCKER).
#
#   docker build --file docker/worker.Dockerfile --build-arg BEAM=$(python -c 'import apache_beam; print(apache_beam.__version__)') --tag IMAGE .
#
# Python and Beam must have the versions of the machine that submits, or the shards' descriptions differ and are refused.
ARG PYTHON=3.11
ARG BEAM
FROM apache/beam_python${PYTHON}_sdk:${BEAM}

WORKDIR /m-rnn
COPY requirements.lock setup.cfg pyproject.toml ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY schemas schemas
COPY model model
COPY pipelines pipelines
COPY tasks tasks
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
# CUDA's libraries, in the versions that this TensorFlow asks for; delete these lines for workers without a GPU.
RUN pip install --no-cache-dir "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"

# Beam's own start script; it finds Python and Beam as in its base image.
ENTRYPOINT ["/opt/apache/beam/boot"]
